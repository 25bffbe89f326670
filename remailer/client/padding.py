"""Sizes that tell little: each message of a padded chain has one of a few fixed lengths.

A remailer ignores directives that it doesn't know, so a block of directives can be made as long as
one likes by lines `Padding: ...`. Three rules follow from it, and nothing else is needed:

- the layer for the last remailer (its block, the header lines, the text) is brought to a size
  class, the powers of two from 4 KiB on;
- the block that names a next remailer always has HEAD bytes, however long the address is;
- armour is brought to `message(layer)` bytes, whatever key it is for, by the block before it.

So a message's length depends on its class and on how many remailers are still to come.
"""

from __future__ import annotations

from collections.abc import Sequence

from remailer.errors import ChainError

SMALLEST = 4096
"""Bytes of the smallest class."""

HEAD = 384
"""Bytes of a block that names the next remailer: an address of 254, `Latent-Time`, and padding."""

ARMOUR = 1024
"""Bytes that encryption and a block may add to a layer besides armour's 38 %: RSA-4096 fits."""

_NAME = "Padding: "
_LINE = 64
"""Bytes of the longest padding line, with CRLF: no longer than armour's, which nothing wraps."""

_SHORTEST = len(_NAME) + 3


def block(lines: Sequence[str], size: int | None = None) -> bytes:
    """A `::` block of these directives and a blank line, of exactly `size` bytes if one is given.

    Raises ChainError if they don't fit.
    """
    bare = _joined(lines)
    if size is None:
        return bare
    room = size - len(bare)
    if room < _SHORTEST:
        raise ChainError("padding: a key or an address is too long for it; send with --no-pad")
    count = -(-room // _LINE)
    lengths = [room // count + (number < room % count) for number in range(count)]
    return _joined([*lines, *(_NAME.ljust(length - 2, "x") for length in lengths)])


def size_class(length: int) -> int:
    """The class of a last layer of `length` bytes without padding."""
    return max(SMALLEST, 1 << (length + _SHORTEST - 1).bit_length())


def message(layer: int) -> int:
    """Bytes of the message, block and armour, that holds a layer of so many bytes."""
    return layer + layer * 25 // 64 + ARMOUR


def _joined(lines: Sequence[str]) -> bytes:
    return "\r\n".join(["::", *lines, "", ""]).encode()
