"""End to end: mails that enter the web with mails that leave it, whatever the links do between."""

from __future__ import annotations

import random

import numpy as np

from testbed.attack import combined, match
from testbed.attack.observation import Observation

HOPS = 2
"""How many hops he supposes; he can try others as easily."""


def guess(seen: Observation, rng: random.Random) -> dict[int, str]:
    """For each entry, the exit that fits best: its place in the observation, as text."""
    rooms = _web(seen)
    return match.named(rooms, _costs(seen, rooms), rng)


def costs(seen: Observation) -> list[match.Costs]:
    """What he thinks of each exit."""
    return _costs(seen, _web(seen))


def _costs(seen: Observation, rooms: list[match.Room]) -> list[match.Costs]:
    """Of content, size and time; no mail leaves the web where it came in."""
    same = np.array([[one.hop == other.hop for other in seen.exits] for one in seen.entries])
    return [np.where(same, match.NEVER, cost) for cost in combined.costs(rooms, HOPS)]


def _web(seen: Observation) -> list[match.Room]:
    """The whole web as one room."""
    if not seen.entries or not seen.exits:
        return []
    return [
        match.Room(
            tuple(range(len(seen.entries))),
            seen.entries,
            tuple(str(number) for number in range(len(seen.exits))),
            tuple(one.mail for one in seen.exits),
        )
    ]
