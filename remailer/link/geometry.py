"""The geometry of a cell: every size and offset, each derived from the few that are chosen.

    cell   = version (1) | kind (1) | answers | part | data and zeros
    answer = word (1) | transfer (16) | have (4)
    part   = transfer (16) | size (4) | index (4)

Nothing else may write one of these numbers down. docs/link.md says what they mean.
"""

from __future__ import annotations

import struct

from remailer.outgoing import MAX_MAIL

CELL = 16_000
"""Bytes of a cell. Chosen: one TLS record, and a mail of 10 KB in base64 in one cell."""
ANSWERS = 4
"""Answers that a cell has room for, used or not. Chosen: more than one cell's worth of parts."""
WINDOW = 4
"""Messages that one side may have under way at a time. Chosen: as many as delivery hands over."""
TRANSFER = 16
"""Bytes of a transfer ID."""

HEAD = struct.Struct("!BB")
ANSWER = struct.Struct(f"!B{TRANSFER}sI")
PART = struct.Struct(f"!{TRANSFER}sII")

ANSWERS_AT = HEAD.size
PART_AT = ANSWERS_AT + ANSWERS * ANSWER.size
DATA_AT = PART_AT + PART.size
DATA = CELL - DATA_AT
"""Bytes of a message that a cell carries."""

MAX_MESSAGE = MAX_MAIL
"""Bytes of the largest message."""

_INNER_TYPE, _TAG = 1, 16
RECORD = CELL + _INNER_TYPE + _TAG
"""What the length field of a cell's TLS record says (RFC 8446, 5.2)."""
RECORD_HEADER = 5
assert CELL <= 2**14, "a cell has to fit into one record"


def parts(size: int) -> int:
    """How many cells a message of so many bytes takes."""
    return -(-size // DATA)


def length(size: int, index: int) -> int:
    """Bytes of the message in its cell `index`, counted from 0."""
    return min(DATA, size - index * DATA)
