"""Canaries: marks in every mail that no remailer may leave behind, and the forms they can take.

Every mark of a run begins with the run's prefix, so a search needs the forms of one prefix only,
and then reads from what follows which mail and which field it was. Nothing here does I/O, and
nothing is imported that the witness's image has not: witnesses run this inside containers.
"""

from __future__ import annotations

import base64
import codecs
import random
import re
import string
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Protocol

from testbed.wire.streams import inflated

PREFIX_LENGTH = 12
"""Characters of a prefix: 36**12 is about 2**62, so no chance hit is to be expected."""

FIELDS = {"s": "sender", "r": "recipient", "j": "subject", "b": "body", "m": "Message-ID"}
"""The code of each field that carries a mark."""

FORMS = (
    "raw", "mixed case", "hex", "colon hex", "UTF-16LE", "UTF-16BE", "URL", "quoted-printable",
    "reversed", "rot13", "base32", "base64", "base85", "deflate",
)  # fmt: skip
"""What a mark is looked for as; the last four at every place in their groups (with base64, which
needs none of the two digits in which its alphabets differ, base64url is found too)."""

ANY_CASE = frozenset(FORMS) - {"base64", "base85", "deflate"}
"""Forms of which upper and lower case are alike to a search."""

BEFORE, AFTER = 40, 60
"""Bytes around a hit that are shown with it."""


@dataclass(frozen=True)
class Hit:
    """A mark that was found: offset in bytes, its form, the mark (or prefix), bytes around it.

    `start` is the excerpt's offset: in the data, or in what a compressed stream holds.
    """

    offset: int
    form: str
    mark: str
    excerpt: bytes
    start: int = 0

    @classmethod
    def around(cls, data: bytes, at: int, end: int, form: str, mark: str) -> Hit:
        """What stands from `at` to `end`, with what surrounds it."""
        start = max(0, at - BEFORE)
        return cls(at, form, mark, data[start : end + AFTER], start)

    def moved(self, by: int) -> Hit:
        """The same hit in data of which only what stands from `by` on was searched."""
        inside = " in " in self.form
        return replace(self, offset=self.offset + by, start=self.start + (0 if inside else by))

    def told(self) -> dict[str, Any]:
        """As JSON, for whoever asked a witness inside a container."""
        return asdict(self) | {"excerpt": self.excerpt.decode("latin-1")}


class Sought(Protocol):
    """Something that is looked for."""

    def plain(self, data: bytes) -> Iterator[Hit]:
        """Where it stands in the data as they are."""


def search(data: bytes, *sought: Sought) -> Iterator[Hit]:
    """All of it in `data`, then in the compressed streams there.

    A hit inside a compressed stream has the offset of the stream, and what surrounds it there.
    """
    for one in sought:
        yield from one.plain(data)
    for at, kind, held in inflated(data):
        for one in sought:
            for hit in one.plain(held):
                yield replace(hit, offset=at, form=f"{hit.form} in {kind}")


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

    @cached_property
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
        for shift in range(8):
            forms[f"deflate+{shift}"] = _fixed_deflate(whole, shift)
        return {name: form for name, form in forms.items() if form}

    def search(self, data: bytes) -> Iterator[Hit]:
        """Every mark in `data`, in order of form and offset; then those in compressed streams."""
        return search(data, self)

    def plain(self, data: bytes) -> Iterator[Hit]:
        """Every mark that stands in `data` itself."""
        lowered = data.lower()
        for form, pattern in self.forms.items():
            where = lowered if form.partition("+")[0] in ANY_CASE else data
            at = where.find(pattern)
            while at >= 0:
                end = at + len(pattern)
                other = form == "raw" and data[at:end] != self.prefix.encode()
                mark = self._whole(lowered, at) if form == "raw" else self.prefix
                yield Hit.around(data, at, end, "mixed case" if other else form, mark)
                at = where.find(pattern, end)

    def _whole(self, lowered: bytes, at: int) -> str:
        """The whole mark where all of it stands there, else the prefix."""
        text = lowered[at : at + len(self.prefix) + 5].decode("ascii", "replace")
        return text if self.letter_of(text) is not None else self.prefix


def _digits(encode: Callable[[bytes], bytes], bits: int, raw: bytes, shift: int) -> bytes:
    """The digits of `bits` bits that `raw` alone decides when `shift` bytes stand before it."""
    first, end = -(-8 * shift // bits), 8 * (shift + len(raw)) // bits
    return encode(bytes(shift) + raw)[first:end]


def _fixed_deflate(raw: bytes, shift: int) -> bytes:
    """The whole bytes that `raw` is in a deflate block with the fixed tables, from that bit on.

    RFC 1951, 3.2.6: an octet below 144 is a code of 8 bits, its most significant one first.
    """
    codes = "".join(f"{0x30 + octet:08b}" for octet in raw)
    bits = codes[8 - shift if shift else 0 :]
    return bytes(int(bits[at : at + 8][::-1], 2) for at in range(0, len(bits) // 8 * 8, 8))
