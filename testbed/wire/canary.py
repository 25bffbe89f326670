"""Canaries: marks in every mail that no remailer may leave behind, and the forms they can take.

Every mark of a run begins with the run's prefix, so a search needs the forms of one prefix only,
and then reads from what follows which mail and which field it was. Nothing here does I/O, and
nothing outside the standard library is imported: witnesses run this file inside containers.
"""

from __future__ import annotations

import base64
import random
import re
import string
from collections.abc import Iterator
from dataclasses import dataclass

PREFIX_LENGTH = 12
"""Characters of a prefix: 36**12 is about 2**62, so no chance hit is to be expected."""

FIELDS = {"s": "sender", "r": "recipient", "j": "subject", "b": "body", "m": "Message-ID"}
"""The code of each field that carries a mark."""


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
        """Each form that the prefix can take, as the bytes to look for."""
        raw = self.prefix.encode()
        forms = {
            "raw": raw,
            "upper case": raw.upper(),
            "hex": raw.hex().encode(),
            "HEX": raw.hex().upper().encode(),
            "UTF-16LE": self.prefix.encode("utf-16-le"),
            "UTF-16BE": self.prefix.encode("utf-16-be"),
            "URL": "".join(f"%{byte:02x}" for byte in raw).encode(),
            "URL upper": "".join(f"%{byte:02X}" for byte in raw).encode(),
            "reversed": raw[::-1],
        }
        for shift in range(3):
            # What stands before the mark shifts it in the 3-byte groups: whole ones are stable.
            start, end = -shift % 3, len(raw) - (len(raw) + shift) % 3
            forms[f"base64+{shift}"] = base64.b64encode(raw[start:end])
        return forms

    def search(self, data: bytes) -> Iterator[Hit]:
        """Every mark in `data`, in order of form and offset."""
        for form, pattern in self.forms().items():
            for match in re.finditer(re.escape(pattern), data):
                yield Hit(
                    match.start(),
                    form,
                    self._whole(data, match.start(), form),
                    data[max(0, match.start() - 40) : match.end() + 60],
                )

    def _whole(self, data: bytes, at: int, form: str) -> str:
        """The whole mark where its form shows it, else the prefix."""
        if form == "raw":
            text = data[at : at + PREFIX_LENGTH + 5].decode("ascii", "replace")
            if self.letter_of(text) is not None:
                return text
        return self.prefix
