"""Leaks by somebody who had read docs/claims.md and the remailer, but no witness: rows.py has them.

known.py is no leak: it is what they know of a mail, sender and recipient, and the key they share.
"""
