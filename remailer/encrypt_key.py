"""`Encrypt-Key: PHRASE`: what follows the line `**` is encrypted to a phrase.

With reply blocks each hop changes the form of the body in this way, so that what goes in can't be
matched with what goes out by content alone. Pure: what encrypts is a callable.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from remailer.errors import Dropped

MARK = b"**\r\n"
_MARK = re.compile(rb"^\*\*[ \t]*(?:\r\n|\Z)", re.MULTILINE)

Encrypt = Callable[[bytes, str], bytes]
"""An armoured PGP message of a text under a phrase, its lines ended by CRLF."""


def conceal(text: bytes, phrase: bytes, encrypt: Encrypt) -> bytes:
    """The text, what follows its first line `**` encrypted; that line and what precedes it stay.

    Without such a line all of it is encrypted, behind one, as in Mixmaster: who asks for encryption
    had better get too much of it than none. Raises Dropped for a phrase that isn't UTF-8.
    """
    try:
        words = phrase.decode()
    except UnicodeDecodeError:
        raise Dropped("Encrypt-Key") from None
    found = _MARK.search(text)
    before, after = (text[: found.start()], text[found.end() :]) if found else (b"", text)
    return before + MARK + encrypt(after, words)
