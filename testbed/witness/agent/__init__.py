"""Runs inside the witness container, with root's eyes on the nodes' processes and nothing else.

Standard library, canary.py, and for sealed rows remailer/seal.py with Debian's cryptography. Each
job takes a JSON object and gives one answer a node.
"""
