"""What compressed data holds, wherever in other data a stream of it begins. Nothing here does I/O.

Witnesses run this inside containers, where besides the standard library there is `zstandard`. It is
imported like any other module: a witness without it dies at once, and says so.

Of raw deflate, which has no header, only blocks with Huffman tables of their own can be told from
chance. They are tried at the start of the data, in its first NEAR bytes, and after each line end
and zero; blocks with the fixed tables are a form of the marks themselves (`canary.fixed_deflate`).
"""

from __future__ import annotations

import bz2
import contextlib
import lzma
import re
import zlib
from collections.abc import Callable, Iterable, Iterator

import zstandard

LEAST = 12
"""Bytes that a stream has to hold to be worth a look: a mark's."""

MOST_OF_ONE, MOST_INFLATED = 4 << 20, 32 << 20
"""Bytes that one stream, and all in one search, are inflated to at most."""

NEAR = 4096
"""Bytes at the beginning in which raw deflate is looked for everywhere."""

_FIRST_STEP, _STEP, _PART = 1 << 8, 1 << 14, 1 << 14
"""Compressed bytes that are tried first (chance headers fail there), then at a time; what comes out
at a time."""
_XZ_MEMORY = 128 << 20


def _one_of(octets: Iterable[int]) -> bytes:
    return b"[" + b"".join(re.escape(bytes([octet])) for octet in octets) + b"]"


def _zlib_headers() -> Iterator[bytes]:
    """RFC 1950: deflate, a window of up to 32 KB, no dictionary, and the check bits hold."""
    for first in range(0x08, 0x80, 0x10):
        seconds = (b for b in range(256) if (first << 8 | b) % 31 == 0 and not b & 0x20)
        yield re.escape(bytes([first])) + _one_of(seconds)


_MAGIC = {
    b"\x1f": ("gzip", rb"\x1f\x8b\x08[\x00-\x1f]"),
    b"\x28": ("zstd", rb"\x28\xb5\x2f\xfd"),
    b"B": ("bzip2", rb"BZh[1-9]1AY&SY"),
    b"\xfd": ("xz", rb"\xfd7zXZ\x00"),
}
"""First byte → kind and header: RFC 1952, RFC 8878, and the magic numbers of the last two."""

_HEADER = re.compile(
    # Each begins with a byte as it is: so re skips at once what can't begin any.
    b"|".join([*_zlib_headers(), *(header for _, header in _MAGIC.values())]),
    re.DOTALL,
)

_TABLES = _one_of(b for b in range(0xF0) if b & 7 in (4, 5)) + _one_of(
    b for b in range(256) if b & 31 < 30
)
"""RFC 1951: a block with tables of its own, of at most 286 lengths and 30 distances."""
_NEAR = re.compile(_TABLES, re.DOTALL)
_LATER = re.compile(rb"[\n\0]" + _TABLES, re.DOTALL)


def inflated(data: bytes) -> Iterator[tuple[int, str, bytes]]:
    """Offset, kind and contents of what may be compressed data; at most MOST_INFLATED bytes in all.

    Most headers are chance, and end in an error after a few bytes: what came out before stands.
    """
    left = MOST_INFLATED
    for at, kind in _starts(data):
        held = _inflate(data, at, kind, min(left, MOST_OF_ONE))
        left -= len(held)
        if len(held) >= LEAST:
            yield at, kind, held
        if left <= 0:
            return


def _starts(data: bytes) -> Iterator[tuple[int, str]]:
    """Where a stream may begin, and of what kind."""
    for match in _HEADER.finditer(data):
        kind, _ = _MAGIC.get(match[0][:1], ("zlib", b""))
        yield match.start(), kind
    for match in _NEAR.finditer(data, 0, NEAR):
        yield match.start(), "raw deflate"
    for match in _LATER.finditer(data, NEAR):
        yield match.start() + 1, "raw deflate"


def _inflate(data: bytes, at: int, kind: str, most: int) -> bytes:
    """What a stream at that offset begins with, at most so many bytes; b"" if it is none."""
    parts: list[bytes] = []
    # In small parts: those before an error stand. bz2 raises OSError for what is none.
    with contextlib.suppress(zlib.error, zstandard.ZstdError, lzma.LZMAError, OSError):
        for part in _PARTS[kind](data, at):
            parts.append(part[:most])
            most -= len(parts[-1])
            if most <= 0:
                break
    return b"".join(parts)


def _deflated(data: bytes, at: int, bits: int) -> Iterator[bytes]:
    inflater = zlib.decompressobj(bits)
    pieces, piece = _pieces(data, at), b""
    while not inflater.eof:
        piece = piece or next(pieces, b"")
        if not piece:
            return
        yield inflater.decompress(piece, _PART)
        piece = inflater.unconsumed_tail


def _unpacked(
    data: bytes, at: int, inflater: bz2.BZ2Decompressor | lzma.LZMADecompressor
) -> Iterator[bytes]:
    pieces, piece = _pieces(data, at), b""
    while not inflater.eof:
        piece = next(pieces, b"") if inflater.needs_input else b""
        if inflater.needs_input and not piece:
            return
        yield inflater.decompress(piece, _PART)


def _zstd(data: bytes, at: int) -> Iterator[bytes]:
    reader = zstandard.ZstdDecompressor().stream_reader(memoryview(data)[at:])
    while part := reader.read(_PART):
        yield part


def _pieces(data: bytes, at: int) -> Iterator[bytes]:
    yield data[at : at + _FIRST_STEP]
    for start in range(at + _FIRST_STEP, len(data), _STEP):
        yield data[start : start + _STEP]


_PARTS: dict[str, Callable[[bytes, int], Iterator[bytes]]] = {
    # Only what is between header and checksum: a stream that was cut is one, too.
    "zlib": lambda data, at: _deflated(data, at + 2, -zlib.MAX_WBITS),
    "gzip": lambda data, at: _deflated(data, at, 16 + zlib.MAX_WBITS),
    "raw deflate": lambda data, at: _deflated(data, at, -zlib.MAX_WBITS),
    "zstd": _zstd,
    "bzip2": lambda data, at: _unpacked(data, at, bz2.BZ2Decompressor()),
    "xz": lambda data, at: _unpacked(data, at, lzma.LZMADecompressor(memlimit=_XZ_MEMORY)),
}
"""Kind of stream → what it holds, part by part."""

KINDS = tuple(_PARTS)
