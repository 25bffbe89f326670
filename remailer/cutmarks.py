"""`Cutmarks: LINE`: a text is cut where a line is LINE; what follows are messages of their own.

The last of them may be padding: it says nothing that a remailer does, and is dropped. Pure.
"""

from __future__ import annotations

import re


def cut(text: bytes, mark: bytes, most: int) -> list[bytes]:
    """The pieces between lines equal to `mark`, the first one first; at most `most` + 1 of them.

    Blanks at a line's end don't count, as mail programs add and take them. The rest of a text with
    too many marks is left in the last piece.
    """
    line = re.compile(rb"^" + re.escape(mark) + rb"[ \t]*(?:\r\n|\Z)", re.MULTILINE)
    return line.split(text, maxsplit=most)
