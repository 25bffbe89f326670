"""Digests of what a run's mails carry: marks, addresses, Message-IDs, subjects, hashed by a log.

Nothing here does I/O; witnesses run this inside containers too. What is searched for is the first
WORD bytes of each digest, at every place (words.py): one that was cut to these is found as well.
Hex, base64 and base32 are decoded where a run of their digits is long enough, and what comes out is
searched alike.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import sys
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from testbed.wire.canary import Canaries, Hit, search
from testbed.wire.words import WORD, among

ALGORITHMS = (
    "md5", "sha1", "sha224", "sha256", "sha384", "sha512",
    "sha3_224", "sha3_256", "sha3_384", "sha3_512", "blake2b", "blake2s",
)  # fmt: skip
SEPARATORS = ("", " ", ":", "|", "-", ",", "/")
"""What stands between a value and the node's name where both are hashed, in either order."""

_HASHES = tuple((name, getattr(hashlib, name)) for name in ALGORITHMS)
_ARMOUR = 60
"""Digits of base64 from which on a run is mail's own: lines are as long as this, digests are not,
or they stand alone. Shorter runs are decoded from each of their first four digits on."""


@dataclass(frozen=True)
class Digests:
    """The digests of some values: alone, with a line end, and with each of some names."""

    values: tuple[str, ...]
    names: tuple[str, ...]
    words: frozenset[int] = field(repr=False)

    @classmethod
    def of(cls, values: Iterable[str], names: Iterable[str] = ()) -> Digests:
        """`values`: what mails carry; `names`: what the node is called that could hash it."""
        return _of(tuple(dict.fromkeys(values)), tuple(names))

    def search(self, data: bytes) -> Iterator[Hit]:
        """Every digest in `data`, then in compressed streams there."""
        return search(data, self)

    def plain(self, data: bytes) -> Iterator[Hit]:
        """Every digest that stands in `data` itself."""
        for coded in _views(data):
            for place in coded.places(self.words):
                start, end = coded.place(place), coded.place(place + WORD)
                what, value = self._named(coded.data[place : place + WORD])
                yield Hit.around(data, start, end, f"{what}, {coded.name}", value)

    def _named(self, word: bytes) -> tuple[str, str]:
        """Which digest a word begins, and of which value: found by making them all once more."""
        return next(
            (what, value)
            for value in self.values
            for what, digest in _digests(value, self.names)
            if digest.startswith(word)
        )


@dataclass(frozen=True)
class Trail:
    """What one node may leave of a run: marks, and digests of what went through it."""

    canaries: Canaries
    digests: Digests

    def search(self, data: bytes) -> Iterator[Hit]:
        """Both in `data`, in compressed streams too."""
        return search(data, self.canaries, self.digests)


@lru_cache(maxsize=32)
def _of(values: tuple[str, ...], names: tuple[str, ...]) -> Digests:
    words = frozenset(
        int.from_bytes(digest[:WORD], sys.byteorder)
        for value in values
        for _, digest in _digests(value, names)
    )
    return Digests(values, names, words)


def _digests(value: str, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Each digest of a value, and what it is."""
    for how, text in _texts(value, names):
        for algorithm, make in _HASHES:
            yield f"{algorithm}{how}", make(text).digest()
    for name in names:
        for algorithm in ALGORITHMS:
            yield f"HMAC-{algorithm} under {name}", _keyed(name, value, algorithm)


def _keyed(name: str, value: str, algorithm: str) -> bytes:
    return hmac.digest(name.encode(), value.encode(), algorithm)


def _texts(value: str, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    yield "", value.encode()
    yield " with a line end", f"{value}\n".encode()
    for name in names:
        for separator in SEPARATORS:
            yield f" with {name}", f"{name}{separator}{value}".encode()
            yield f" with {name}", f"{value}{separator}{name}".encode()


@dataclass(frozen=True)
class _View:
    """Data in which digests stand as bytes: as they are, or what digits in them say.

    `starts` are the offsets in `data` of the runs that were decoded, `froms` those of their digits.
    """

    name: str
    data: bytes
    digits: int = 1
    octets: int = 1
    starts: Sequence[int] = (0,)
    froms: Sequence[int] = (0,)

    def places(self, words: frozenset[int]) -> Iterator[int]:
        """Where one of the words stands."""
        for word in sorted(among(words, self.data)):
            sought, at = word.to_bytes(WORD, sys.byteorder), -1
            while (at := self.data.find(sought, at + 1)) >= 0:
                yield at

    def place(self, at: int) -> int:
        """The offset in the data as they are."""
        run = bisect_right(self.starts, at) - 1
        return self.froms[run] + (at - self.starts[run]) * self.digits // self.octets


def _views(data: bytes) -> Iterator[_View]:
    runs = list(_runs(data))
    yield _View("raw", data)
    yield _decoded("hex", data, runs, _HEX, (2, 1), lambda run: 2, binascii.a2b_hex)
    yield _decoded("base64", data, runs, _BASE64, (4, 3), _phases, _from_base64)
    yield _decoded("base32", data, runs, _BASE32, (8, 5), lambda run: 1, _from_base32)


_SHORTEST = -(-WORD * 4 // 3)
"""Digits of base64 that a word takes; those of the others are among them, and are more."""
_HEX = re.compile(rb"[0-9a-fA-F]{%d,}" % (2 * WORD))
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{%d,}" % _SHORTEST)
_BASE32 = re.compile(rb"[A-Za-z2-7]{%d,}" % (-(-WORD * 8 // 5)))
_DIGIT = bytes(bool(re.match(rb"[A-Za-z0-9+/_-]", bytes([octet]))) for octet in range(256))
"""1 for each octet that is a digit of base64."""


def _runs(data: bytes) -> Iterator[tuple[int, int]]:
    """Where digits of base64 stand together, beginning and end: in random bytes nearly nowhere."""
    is_digit = data.translate(_DIGIT)
    end = 0
    while (at := is_digit.find(b"\1" * _SHORTEST, end)) >= 0:
        end = is_digit.find(0, at)
        end = end if end >= 0 else len(data)
        yield at, end


_ONE_ALPHABET = bytes.maketrans(b"-_", b"+/")


def _decoded(
    name: str,
    data: bytes,
    runs: Sequence[tuple[int, int]],
    run: re.Pattern[bytes],
    ratio: tuple[int, int],
    phases: Callable[[bytes], int],
    decode: Callable[[bytes], bytes],
) -> _View:
    """What all runs of these digits say, one after the other, from each phase on."""
    digits, octets = ratio
    parts, starts, froms, size = [], [], [], 0
    for match in (match for at, end in runs for match in run.finditer(data, at, end)):
        found = match[0]
        for phase in range(phases(found)):
            whole = phase + (len(found) - phase) // digits * digits
            parts.append(decode(found[phase:whole]))
            starts.append(size)
            froms.append(match.start() + phase)
            size += len(parts[-1])
    return _View(name, b"".join(parts), digits, octets, starts, froms)


def _phases(run: bytes) -> int:
    return 4 if len(run) < _ARMOUR else 1


def _from_base64(run: bytes) -> bytes:
    return binascii.a2b_base64(run.translate(_ONE_ALPHABET))


def _from_base32(run: bytes) -> bytes:
    return base64.b32decode(run.upper())
