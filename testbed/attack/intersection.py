"""Intersection (Berthold, Pfitzmann, Standtke 2000): who gets mail whenever one person writes?"""

from __future__ import annotations

import random
from collections import defaultdict

from testbed.attack.observation import Exit, Observation

WIDE = 4.0
"""Mean delays that a mail is waited for."""


def guess(seen: Observation, rng: random.Random) -> dict[str, str]:
    """For each sender, one of the people who got mail after each of his mails; nobody's missed."""
    answers: dict[str, str] = {}
    people = sorted({one.recipient for one in seen.exits})
    for sender, times in sent(seen).items():
        left = set(people)
        for time in times:
            after = {one.recipient for one in within(seen, time, WIDE)}
            left = left & after or left
        if left:
            answers[sender] = rng.choice(sorted(left))
    return answers


def sent(seen: Observation) -> dict[str, list[float]]:
    """When each sender wrote."""
    found: dict[str, list[float]] = defaultdict(list)
    for entry in seen.entries:
        found[entry.sender].append(entry.mail.end)
    return dict(found)


def mean_delay(seen: Observation) -> float:
    """Seconds that a mail takes from edge to edge on average: all that enter leave (Little)."""
    if not seen.entries or not seen.exits:
        return 0.0
    came = sum(one.mail.end for one in seen.entries) / len(seen.entries)
    went = sum(one.mail.start for one in seen.exits) / len(seen.exits)
    return max(0.05, went - came)


def within(seen: Observation, time: float, wide: float) -> list[Exit]:
    """What left within so many mean delays after a time."""
    until = time + wide * mean_delay(seen)
    return [one for one in seen.exits if time <= one.mail.start <= until]
