"""The pool: how long a mail waits before it leaves. Pure: the random source is passed in.

Exponential delays make a continuous ("Poisson") mix, as in Kesdogan's Stop-and-Go mixes (1998): how
long a mail has waited already says nothing about when it will leave. A timed dynamic pool is
Mixmaster's: every so many seconds some of the mails that wait leave together, drawn at random, and
never so many that fewer than a certain number stay.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from remailer.errors import SetupError

T = TypeVar("T")


@dataclass(frozen=True)
class Timed:
    """A timed dynamic pool; Mixmaster 3 has 15 minutes, 45 and 65."""

    seconds: float
    """From one batch to the next."""
    least: int = 45
    """Mails that stay in the pool."""
    percent: int = 65
    """Of those that wait, at most so many leave in a batch (rounded up)."""

    def batch(self, waiting: Sequence[T], rng: random.Random) -> list[T]:
        """Those that leave now, in random order."""
        share = -(-len(waiting) * self.percent // 100)
        return rng.sample(waiting, max(0, min(len(waiting) - self.least, share)))


@dataclass(frozen=True)
class Pool:
    """Delays with this mean, in seconds (0 is no pool at all), or batches."""

    mean: float
    timed: Timed | None = None

    def delay(self, rng: random.Random) -> float:
        """How long one mail waits, in seconds. In production `rng` is a `secrets.SystemRandom`."""
        return rng.expovariate(1 / self.mean) if self.mean else 0.0


def parse(text: str) -> Pool:
    """`off`, `exponential:MEAN`, `timed:SECONDS` or `timed:SECONDS,LEAST,PERCENT`.

    Raises SetupError for anything else.
    """
    if text == "off":
        return Pool(0.0)
    match = re.fullmatch(r"(exponential|timed):([0-9]+(?:\.[0-9]+)?)(?:,([0-9]+),([0-9]+))?", text)
    seconds = float(match[2]) if match else 0.0
    if match and 0 < seconds < math.inf:
        if match[1] == "exponential" and not match[3]:
            return Pool(seconds)
        if match[1] == "timed" and not match[3]:
            return Pool(0.0, Timed(seconds))
        if match[1] == "timed" and 0 < int(match[4]) <= 100:
            return Pool(0.0, Timed(seconds, int(match[3]), int(match[4])))
    raise SetupError(
        f"--pool {text!r}: use off, exponential:MEAN with a mean in seconds above 0, or "
        "timed:SECONDS,LEAST,PERCENT"
    )
