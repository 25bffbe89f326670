"""Which words of eight bytes stand anywhere in some data: thousands of them sought at once. Pure.

A set takes all numbers at one offset of the data at once, so that every place is searched without
a loop in Python. NumPy, where there is one, passes over nearly all numbers before: by their last
bits, in a table. The witness's image has none, and little to search.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

try:
    import numpy as np
except ImportError:
    np = None  # type: ignore[assignment]

WORD = 8
"""Bytes of a word; its number is in this machine's own order of bytes."""
LAST = (1 << 22) - 1
"""The bits by which the table knows a number: so many fit a processor's cache."""
WORTH = 1 << 16
"""Bytes of data from which on the table is worth making."""


def among(words: frozenset[int], data: bytes) -> set[int]:
    """Those of the words that stand in the data, at whatever offset."""
    found: set[int] = set()
    whole = memoryview(data)
    for at in range(min(WORD, len(data) - WORD + 1)):
        numbers = whole[at : at + (len(data) - at) // WORD * WORD]
        found |= words.intersection(_likely(words, numbers, many=len(data) >= WORTH))
    return found


def _likely(words: frozenset[int], numbers: memoryview, *, many: bool) -> Iterable[int]:
    """All numbers, or those that have the last bits of a word."""
    if np is None or not many:
        return numbers.cast("Q")
    all_ = np.frombuffer(numbers, dtype="=u8")
    likely: list[int] = all_[_table(words)[all_ & np.uint64(LAST)]].tolist()
    return likely


@lru_cache(maxsize=4)
def _table(words: frozenset[int]) -> Any:
    """For each pattern of last bits whether a word has it."""
    table = np.zeros(LAST + 1, dtype=bool)
    table[np.fromiter(words, dtype="=u8", count=len(words)) & np.uint64(LAST)] = True
    return table
