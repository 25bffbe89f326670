"""The pages of a database file: bytes in them that belong to no row. Nothing here does I/O.

SQLite looks at none of these, and neither does its integrity_check: the room between a page's list
of rows and its rows, what a row left behind it, the end of a row's last page, and the map of pages
(SQLite file format, 1.6 to 1.8). Only for files in which integrity_check finds nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

HEADER = 100
"""Bytes of the file's header."""

_LEAF, _INNER, _TABLE = 0x0A, 0x02, 0x0D
"""A page of rows by their key, of the keys above those, and of the schema."""
_PAGE = struct.Struct(">BHHHB")
_WIDTHS = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)
"""Bytes of a number by its kind (SQLite file format, 2.1)."""
_MAPPED = struct.Struct(">BI")
"""What the map says of a page: what it is, and which page knows it."""
_KNOWN = {3, 4, 5}
"""What has such a page: a row's later pages, and pages of a tree but the first."""


@dataclass(frozen=True)
class Row:
    """One row as it lies there: its page, and the whole of its record."""

    page: int
    record: bytes


@dataclass(frozen=True)
class Slack:
    """Bytes of one page that belong to no row."""

    page: int
    data: bytes
    tree: bool
    """It is a page of a tree, not one in which a row goes on."""


def page_size(image: bytes) -> int:
    """Bytes of a page."""
    (size,) = struct.unpack_from(">H", image, 16)
    return 65536 if size == 1 else int(size)


def walked(image: bytes, root: int) -> Iterator[Row | Slack]:
    """A table's rows, and what is beside them, from its first page on."""
    page = _Page(image, root)
    yield Slack(root, page.slack(), tree=True)
    for start in page.cells:
        if page.kind == _INNER:
            yield from walked(image, page.number(start))
        row = page.row(start)
        yield Row(root, row.local + b"".join(part for _, part, _ in row.rest))
        yield from (Slack(number, left, tree=False) for number, _, left in row.rest)
    if page.kind == _INNER:
        yield from walked(image, page.number(page.head + 8))


@dataclass(frozen=True)
class _Cell:
    """Where a row ends in its page, what of it is there, and the pages that it goes on in."""

    end: int
    local: bytes
    rest: tuple[tuple[int, bytes, bytes], ...]


class _Page:
    """One page of a tree."""

    def __init__(self, image: bytes, number: int) -> None:
        self._image = image
        self._size = page_size(image)
        self.data = self._at(number)
        self.head = HEADER if number == 1 else 0
        self.kind, self._free, count, _, _ = _PAGE.unpack_from(self.data, self.head)
        self._list = self.head + (12 if self.kind == _INNER else 8)
        self.cells = struct.unpack_from(f">{count}H", self.data, self._list)

    def _at(self, number: int) -> bytes:
        return self._image[(number - 1) * self._size : number * self._size]

    def number(self, at: int) -> int:
        """The number of a page that stands there."""
        (number,) = struct.unpack_from(">I", self.data, at)
        return int(number)

    def slack(self) -> bytes:
        """What is neither the page's header nor a row nor the head of a free block."""
        owned = [(0, self._list + 2 * len(self.cells))]
        owned += [(start, max(self.row(start).end, start + 4)) for start in self.cells]
        block, last = self._free, 0
        while block > last:
            owned.append((block, block + 4))
            last, (block,) = block, struct.unpack_from(">H", self.data, block)
        left = bytearray(self.data)
        for start, end in owned:
            left[start:end] = bytes(min(end, self._size) - start)
        return bytes(left)

    def row(self, start: int) -> _Cell:
        """The row that begins there."""
        length, at = varint(self.data, start + (4 if self.kind == _INNER else 0))
        if self.kind == _TABLE:
            _, at = varint(self.data, at)
        most = self._size - 35 if self.kind == _TABLE else (self._size - 12) * 64 // 255 - 23
        if length <= most:
            return _Cell(at + length, self.data[at : at + length], ())
        least = (self._size - 12) * 32 // 255 - 23
        here = least + (length - least) % (self._size - 4)
        end = at + (here if here <= most else least)
        rest, left = [], length - (end - at)
        number = self.number(end)
        while left > 0:
            body = self._at(number)
            rest.append((number, body[4 : 4 + left], body[4 + left :]))
            (number,) = struct.unpack_from(">I", body)
            left -= self._size - 4
        return _Cell(end + 4, self.data[at:end], tuple(rest))


def columns(record: bytes) -> int:
    """How many values a row has; 0 if there are bytes besides."""
    head, at = varint(record, 0)
    size, count = head, 0
    while at < head:
        kind, at = varint(record, at)
        size += (kind - 12) // 2 if kind >= 12 else _WIDTHS[kind]
        count += 1
    return count if size == len(record) else 0


def unmapped(image: bytes) -> Iterator[int]:
    """Pages behind the file's end of which the map says what it never says of a page.

    What it said of pages that were given back stays there; no page knew one by a number that no
    page has had.
    """
    size = page_size(image)
    each = size // _MAPPED.size
    count = len(image) // size
    if not any(image[52:56]):
        return  # it has no map
    number = 2 + (count - 2) // (each + 1) * (each + 1)
    page = image[(number - 1) * size : number * size]
    said = [_MAPPED.unpack_from(page, at) for at in range(0, each * _MAPPED.size, _MAPPED.size)]
    had = [number + 1 + place for place, entry in enumerate(said) if entry != (0, 0)]
    most = had[-1] if had and len(had) < each else 2**32
    for place, (kind, knows) in enumerate(said):
        page_number = number + 1 + place
        form = 0 < knows <= most if kind in _KNOWN else not knows and kind < min(_KNOWN)
        if page_number > count and not form:
            yield page_number
    if any(page[each * _MAPPED.size :]):
        yield number


def varint(data: bytes, at: int) -> tuple[int, int]:
    """A number as SQLite writes it, and where the next one begins."""
    value = 0
    for place in range(at, at + 8):
        value = value << 7 | data[place] & 0x7F
        if data[place] < 0x80:
            return value, place + 1
    return value << 8 | data[at + 8], at + 9
