"""The pool: how long a mail waits before it leaves. Pure: the random source is passed in.

Exponential delays make a continuous ("Poisson") mix, as in Kesdogan's Stop-and-Go mixes (1998): how
long a mail has waited already says nothing about when it will leave.
"""

from __future__ import annotations

import math
import random
import re
from dataclasses import dataclass

from remailer.errors import SetupError


@dataclass(frozen=True)
class Pool:
    """Delays with this mean, in seconds; 0 is no pool at all."""

    mean: float

    def delay(self, rng: random.Random) -> float:
        """How long one mail waits, in seconds. In production `rng` is a `secrets.SystemRandom`."""
        return rng.expovariate(1 / self.mean) if self.mean else 0.0


def parse(text: str) -> Pool:
    """`off`, or `exponential:MEAN` with a mean in seconds. Raises SetupError for anything else."""
    if text == "off":
        return Pool(0.0)
    match = re.fullmatch(r"exponential:([0-9]+(?:\.[0-9]+)?)", text)
    mean = float(match[1]) if match else 0.0
    if not 0 < mean < math.inf:
        raise SetupError(
            f"--pool {text!r}: use off, or exponential:MEAN with a mean in seconds above 0"
        )
    return Pool(mean)
