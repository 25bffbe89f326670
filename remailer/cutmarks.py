"""`Cutmarks: LINE`: a text is cut where a line is LINE; what follows are messages of their own.

The last of them may be padding: it says nothing that a remailer does, and is dropped. Pure.
"""

from __future__ import annotations


def cut(text: bytes, mark: bytes, most: int) -> list[bytes]:
    """The pieces between lines equal to `mark`, the first one first; at most `most` + 1 of them.

    Blanks at a line's end don't count, as mail programs add and take them. The rest of a text with
    too many marks is left in the last piece.
    """
    # Not by `re`: it takes seconds and 100 MiB for a mark of some MiB, and keeps it.
    pieces: list[bytes] = []
    piece = at = 0
    while len(pieces) < most and (found := _line_that_begins(text, mark, at)) >= 0:
        end = text.find(b"\r\n", found)
        at = len(text) if end < 0 else end + 2
        if not text[found + len(mark) : at].strip(b" \t\r\n"):
            pieces.append(text[piece:found])
            piece = at
    return [*pieces, text[piece:]]


def _line_that_begins(text: bytes, mark: bytes, at: int) -> int:
    """Where the next line that begins with `mark` does, from the line at `at` on; or -1."""
    if text.startswith(mark, at):
        return at
    found = text.find(b"\r\n" + mark, at)
    return found + 2 if found >= 0 else -1
