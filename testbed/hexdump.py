"""Bytes as people read them: where they stand, hex, and the text beside it. Pure functions."""

from __future__ import annotations

WIDTH = 16
"""Bytes of a line."""

MOST_LINES = 8
"""Lines of a dump: what is around a find, not the file."""


def dump(data: bytes, start: int = 0) -> tuple[str, ...]:
    """The first bytes of `data`, a line for each 16; `start` is the first one's offset."""
    shown = data[: WIDTH * MOST_LINES]
    return tuple(_line(start + at, shown[at : at + WIDTH]) for at in range(0, len(shown), WIDTH))


def around(data: bytes, at: int) -> tuple[str, ...]:
    """A dump of what stands at an offset, with a little of what comes before it."""
    start = max(0, at - 2 * WIDTH)
    return dump(data[start:], start)


def _line(offset: int, piece: bytes) -> str:
    half = WIDTH // 2
    digits = f"{piece[:half].hex(' ')}  {piece[half:].hex(' ')}"
    text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in piece)
    return f"{offset:08x}  {digits:<{3 * WIDTH}}  |{text}|"
