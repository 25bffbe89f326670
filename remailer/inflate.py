"""`Inflate: K`: so many kilobytes of random text after the body, between the GARBAGE lines.

`K r` is a random amount up to K. So what leaves has another size than what came, at each hop. Pure.
"""

from __future__ import annotations

import base64
import random
import re

MOST = 50
"""Kilobytes; who asks for more gets these, as the capability line (`inflt50`) says."""

BEGIN, END = b"-----BEGIN GARBAGE-----\r\n", b"-----END GARBAGE-----\r\n"
_LINE = 64
_FORM = re.compile(r"([0-9]{1,9})[ \t]*(r?)", re.IGNORECASE)


def garbage(value: str, rng: random.Random) -> bytes:
    """What is put after a body: nothing if the value isn't a number, as in Mixmaster."""
    found = _FORM.fullmatch(value.strip())
    kilobytes = min(int(found[1]), MOST) if found else 0
    size = kilobytes * 1024
    if found and found[2]:
        size = rng.randint(0, size)
    if not size:
        return b""
    text = base64.b64encode(rng.randbytes(size * 3 // 4))
    lines = (text[at : at + _LINE] + b"\r\n" for at in range(0, len(text), _LINE))
    return b"\r\n" + BEGIN + b"".join(lines) + END
