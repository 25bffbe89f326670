"""Canaries: marks in every mail that no remailer may leave behind, and the forms they can take.

Every mark of a run begins with the run's prefix, so a search needs the forms of one prefix only,
and then reads from what follows which mail and which field it was. Nothing here does I/O, and
nothing outside the standard library is imported: witnesses run this file inside containers.
"""

from __future__ import annotations

import base64
import codecs
import contextlib
import random
import re
import string
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

PREFIX_LENGTH = 12
"""Characters of a prefix: 36**12 is about 2**62, so no chance hit is to be expected."""

FIELDS = {"s": "sender", "r": "recipient", "j": "subject", "b": "body", "m": "Message-ID"}
"""The code of each field that carries a mark."""

FORMS = (
    "raw", "mixed case", "hex", "colon hex", "UTF-16LE", "UTF-16BE", "URL", "quoted-printable",
    "reversed", "rot13", "base32", "base64", "base85",
)  # fmt: skip
"""What a mark is looked for as; the last three at every place in their groups."""

ANY_CASE = frozenset(FORMS) - {"base64", "base85"}
"""Forms of which upper and lower case are alike to a search."""

MOST_OF_ONE, MOST_INFLATED = 4 << 20, 32 << 20
"""Bytes that one compressed stream, and all in one search, are inflated to at most."""

_HEADER = re.compile(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08[\x00-\x1f]", re.DOTALL)
"""zlib with a 32 KB window (RFC 1950; with these second bytes FCHECK holds), gzip (RFC 1952)."""
_FIRST_STEP, _STEP, _PART = 1 << 8, 1 << 14, 1 << 14
"""Compressed bytes that are tried first (chance headers fail there), then at a time; what comes out
at a time."""


@dataclass(frozen=True)
class Hit:
    """A mark that was found: offset in bytes, its form, the mark (or prefix), bytes around it."""

    offset: int
    form: str
    mark: str
    excerpt: bytes


@dataclass(frozen=True)
class Canaries:
    """The marks of one run."""

    prefix: str

    @classmethod
    def new(cls, rng: random.Random) -> Canaries:
        """A fresh prefix: a letter, then letters and digits (it is a mail local part too)."""
        letters = string.ascii_lowercase
        tail = rng.choices(letters + string.digits, k=PREFIX_LENGTH - 1)
        return cls(rng.choice(letters) + "".join(tail))

    def mark(self, letter: int, field: str) -> str:
        """The mark of one field of one mail; `field` is a code of FIELDS."""
        if field not in FIELDS or not 0 <= letter <= 9999:
            raise ValueError(f"no mark for field {field!r} of letter {letter}")
        return f"{self.prefix}{letter:04d}{field}"

    def letter_of(self, mark: str) -> int | None:
        """Which mail a mark belongs to, or None for a bare prefix."""
        match = re.fullmatch(re.escape(self.prefix) + r"(\d{4})[a-z]", mark)
        return int(match[1]) if match else None

    def forms(self) -> dict[str, bytes]:
        """Each form that the prefix can take, as the bytes to look for.

        Forms of ANY_CASE are in lower case; what they are looked for in has to be, too.
        """
        text, raw = self.prefix.lower(), self.prefix.lower().encode()
        whole = self.prefix.encode()
        pairs = [f"{byte:02x}" for byte in whole]
        forms = {
            "raw": raw,
            "hex": "".join(pairs).encode(),
            "colon hex": ":".join(pairs).encode(),
            "UTF-16LE": text.encode("utf-16-le"),
            "UTF-16BE": text.encode("utf-16-be"),
            "URL": "".join(f"%{pair}" for pair in pairs).encode(),
            "quoted-printable": "".join(f"={pair}" for pair in pairs).encode(),
            "reversed": raw[::-1],
            "rot13": codecs.encode(text, "rot13").encode(),
        }
        # What stands before the mark shifts it in the groups of these.
        for shift in range(5):
            form = _digits(base64.b32encode, 5, whole, shift)
            forms[f"base32+{shift}"] = form.lower()
        for shift in range(3):
            forms[f"base64+{shift}"] = _digits(base64.b64encode, 6, whole, shift)
        for shift in range(4):
            groups = whole[-shift % 4 :]
            forms[f"base85+{shift}"] = base64.b85encode(groups[: len(groups) // 4 * 4])
        return {name: form for name, form in forms.items() if form}

    def search(self, data: bytes) -> Iterator[Hit]:
        """Every mark in `data`, in order of form and offset; then those in compressed streams.

        A hit inside a compressed stream has the offset of the stream, and what surrounds it there.
        """
        forms = self.forms()
        yield from self._plain(data, forms)
        for at, kind, inflated in _streams(data):
            for hit in self._plain(inflated, forms):
                yield Hit(at, f"{hit.form} in {kind}", hit.mark, hit.excerpt)

    def _plain(self, data: bytes, forms: Mapping[str, bytes]) -> Iterator[Hit]:
        lowered = data.lower()
        for form, pattern in forms.items():
            where = lowered if form.partition("+")[0] in ANY_CASE else data
            at = where.find(pattern)
            while at >= 0:
                end = at + len(pattern)
                other = form == "raw" and data[at:end] != self.prefix.encode()
                yield Hit(
                    at,
                    "mixed case" if other else form,
                    self._whole(lowered, at) if form == "raw" else self.prefix,
                    data[max(0, at - 40) : end + 60],
                )
                at = where.find(pattern, end)

    def _whole(self, lowered: bytes, at: int) -> str:
        """The whole mark where all of it stands there, else the prefix."""
        text = lowered[at : at + len(self.prefix) + 5].decode("ascii", "replace")
        return text if self.letter_of(text) is not None else self.prefix


def _digits(encode: Callable[[bytes], bytes], bits: int, raw: bytes, shift: int) -> bytes:
    """The digits of `bits` bits that `raw` alone decides when `shift` bytes stand before it."""
    first, end = -(-8 * shift // bits), 8 * (shift + len(raw)) // bits
    return encode(bytes(shift) + raw)[first:end]


def _streams(data: bytes) -> Iterator[tuple[int, str, bytes]]:
    """Offset, kind and contents of what may be compressed data; at most MOST_INFLATED bytes in all.

    Most headers are chance, and end in an error after a few bytes: what came out before stands.
    """
    left = MOST_INFLATED
    for match in _HEADER.finditer(data):
        kind = "gzip" if match[0][0] == 0x1F else "zlib"
        inflated = _inflate(data, match.start(), kind, min(left, MOST_OF_ONE))
        left -= len(inflated)
        if len(inflated) >= PREFIX_LENGTH:
            yield match.start(), kind, inflated
        if left <= 0:
            return


def _inflate(data: bytes, at: int, kind: str, most: int) -> bytes:
    """What a stream at that offset begins with, at most so many bytes; b"" if it is none."""
    # Of zlib only what is between header and checksum: a stream that was cut is one, too.
    raw = kind == "zlib"
    inflater = zlib.decompressobj(-zlib.MAX_WBITS if raw else 16 + zlib.MAX_WBITS)
    at += 2 if raw else 0
    parts: list[bytes] = []
    piece, step = b"", _FIRST_STEP
    with contextlib.suppress(zlib.error):
        while most > 0 and not inflater.eof:
            if not piece:
                piece, step = data[at : at + step], _STEP
                at += len(piece)
                if not piece:
                    break
            # In small parts: those before an error stand.
            parts.append(inflater.decompress(piece, min(most, _PART)))
            most -= len(parts[-1])
            piece = inflater.unconsumed_tail
    return b"".join(parts)
