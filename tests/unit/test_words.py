"""Words in data: the same ones are found with NumPy's table and without it, at every offset."""

from __future__ import annotations

import random
import sys

import pytest

from testbed.wire import words

RNG = random.Random(1)
SOUGHT = frozenset(RNG.getrandbits(64) for _ in range(5000))
"""So many that chance numbers have the last bits of some."""


def number(word: int) -> bytes:
    return word.to_bytes(words.WORD, sys.byteorder)


@pytest.mark.parametrize("size", [words.WORD - 1, words.WORD, 100, words.WORTH, words.WORTH + 13])
@pytest.mark.parametrize("numpy", [True, False])
def test_each_that_is_there_is_found(
    size: int, numpy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not numpy:
        monkeypatch.setattr(words, "np", None)
    data = bytearray(RNG.randbytes(size))
    there = sorted(SOUGHT)[:9] if size >= 100 else sorted(SOUGHT)[:1] if size >= words.WORD else []
    for place, word in enumerate(there):
        at = min(place * 11, size - words.WORD)
        data[at : at + words.WORD] = number(word)
    assert words.among(SOUGHT, bytes(data)) == set(there)


def test_at_the_very_end_too() -> None:
    (one,) = sorted(SOUGHT)[:1]
    for short in range(words.WORD):
        data = bytes(words.WORTH + short) + number(one)
        assert words.among(SOUGHT, data) == {one}
