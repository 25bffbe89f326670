"""Content, size and time together: the attacker that a stage is judged by."""

from __future__ import annotations

import random

from testbed.attack import content, match
from testbed.attack.observation import Observation


def costs(rooms: list[match.Room], hops: int = 1) -> list[match.Costs]:
    """The likelihoods of all three, multiplied."""
    read = [a + b for a, b in zip(match.sizes(rooms, hops), content.costs(rooms), strict=True)]
    return [a + b for a, b in zip(read, match.times(rooms, read), strict=True)]


def guess(seen: Observation, rng: random.Random) -> dict[int, str]:
    """The assignment that fits everything best."""
    rooms = match.at_hops(seen)
    return match.named(rooms, costs(rooms), rng)
