"""End to end: mails that enter the web with mails that leave it, whatever the links do between."""

from __future__ import annotations

import random

from testbed.attack import combined, match
from testbed.attack.observation import Observation

HOPS = 2
"""How many hops he supposes; he can try others as easily."""


def guess(seen: Observation, rng: random.Random) -> dict[int, str]:
    """For each entry, the exit that fits best: its place in the observation, as text."""
    rooms = _web(seen)
    return match.named(rooms, combined.costs(rooms, HOPS), rng)


def costs(seen: Observation) -> list[match.Costs]:
    """What he thinks of each exit."""
    return combined.costs(_web(seen), HOPS)


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
