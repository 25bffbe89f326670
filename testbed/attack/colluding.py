"""Colluding remailers: N runs some of them, and there nothing is hidden; for the rest he is W."""

from __future__ import annotations

import random

from testbed.attack import combined
from testbed.attack.observation import Observation


def guess(seen: Observation, rng: random.Random) -> dict[int, str]:
    """What his own remailers did, and elsewhere what the combined attacker says."""
    return combined.guess(seen, rng) | dict(seen.inside)
