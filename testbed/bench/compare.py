"""Comparisons: two things measured in turn (A B A B ...), told as the ratio of each pair. Pure.

A machine's speed drifts, and no two machines are alike: a single time means nothing elsewhere.
Within a pair both had the same machine at nearly the same time, so their ratio means something; of
several pairs the median is quoted, with the lowest and the highest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median
from typing import Any


class Aim(StrEnum):
    """Which side of its aim a ratio should be on."""

    AT_MOST = "<="
    AT_LEAST = ">="


@dataclass(frozen=True)
class Comparison:
    """One question: `ours` over `theirs`, in pairs, both in `unit`."""

    id: str
    sentence: str
    """What the ratio is of."""
    ours: str
    theirs: str
    unit: str
    pairs: tuple[tuple[float, float], ...]
    """(ours, theirs), in the order in which they were measured; all above 0."""
    sense: Aim = Aim.AT_LEAST
    aim: float | None = None

    def __post_init__(self) -> None:
        if not self.pairs or any(ours <= 0 or theirs <= 0 for ours, theirs in self.pairs):
            raise ValueError(f"{self.id}: a comparison needs pairs of positive numbers")

    @property
    def ratios(self) -> tuple[float, ...]:
        """Ours over theirs, pair by pair."""
        return tuple(ours / theirs for ours, theirs in self.pairs)

    @property
    def ratio(self) -> float:
        """The median of the ratios: not the ratio of medians, as the machine drifts."""
        return median(self.ratios)

    @property
    def interval(self) -> tuple[float, float]:
        """The lowest and the highest ratio."""
        return min(self.ratios), max(self.ratios)

    @property
    def coverage(self) -> float:
        """How probable it is that the interval holds the true median: 1 - 2^(1-n).

        Free of assumptions but one, that the pairs are independent: the median is missed only if
        all n ratios fall on the same side of it.
        """
        return 1 - 2.0 ** (1 - len(self.pairs))

    @property
    def reached(self) -> bool | None:
        """Whether the ratio is where it should be; None without an aim."""
        if self.aim is None:
            return None
        return self.ratio <= self.aim if self.sense is Aim.AT_MOST else self.ratio >= self.aim

    def medians(self) -> tuple[float, float]:
        """Of ours and of theirs, in the unit: of this machine, on this day."""
        ours, theirs = zip(*self.pairs, strict=True)
        return median(ours), median(theirs)

    def as_dict(self) -> dict[str, Any]:
        """For bench.json: what was measured, and what follows from it."""
        lowest, highest = self.interval
        return {
            "ratio": round(self.ratio, 4),
            "lowest": round(lowest, 4),
            "highest": round(highest, 4),
            "coverage": round(self.coverage, 4),
            "n": len(self.pairs),
            "aim": None if self.aim is None else f"{self.sense} {self.aim:g}",
            "reached": self.reached,
            "sentence": self.sentence,
            "ours": self.ours,
            "theirs": self.theirs,
            "unit": self.unit,
            "pairs": [[round(ours, 6), round(theirs, 6)] for ours, theirs in self.pairs],
        }


def joined(ours: Sequence[float], theirs: Sequence[float]) -> tuple[tuple[float, float], ...]:
    """Samples of both sides as pairs: the i-th with the i-th, as they were taken in turn."""
    return tuple(zip(ours, theirs, strict=True))
