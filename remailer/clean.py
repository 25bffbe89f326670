"""Clean mail: what goes through byte for byte (RFC 5321, 2.3.8). Nothing is repaired, only refused.

Nothing here does I/O.
"""

from __future__ import annotations

import re

from remailer.message import MAX_MAIL

MAX_LINE = 998
"""Bytes of a line without its CRLF (RFC 5321, 4.5.3.1.6)."""

_LINES = re.compile(rb"(?:[^\n]{0,%d}+\n)*+" % (MAX_LINE + 1))
"""Possessive, so that no input takes more than linear time."""


def refusal(mail: bytes | None) -> str | None:
    """The SMTP reply to a mail that can't be taken; None is one that was too big to keep."""
    if mail is None or len(mail) > MAX_MAIL:
        return "552 5.3.4 Message too big"
    if b"\0" in mail or not mail.count(b"\r") == mail.count(b"\n") == mail.count(b"\r\n"):
        return "554 5.6.0 NUL, or CR and LF apart from each other"
    if not _LINES.fullmatch(mail):
        return "554 5.6.0 Line longer than 998 bytes"
    return None
