"""Statistical disclosure (Danezis 2003): who gets more mail after one person writes than else?"""

from __future__ import annotations

import random
from collections import Counter

from testbed.attack.intersection import mean_delay, sent, within
from testbed.attack.observation import Observation

WIDE = 2.0
"""Mean delays that a mail is looked for."""


def guess(seen: Observation, rng: random.Random) -> dict[str, str]:
    """For each sender, whoever got most after his mails beyond what everybody gets in that time."""
    since, until = seen.span
    rate = Counter(one.recipient for one in seen.exits)
    share = WIDE * mean_delay(seen) / max(1e-9, until - since)
    answers: dict[str, str] = {}
    for sender, times in sent(seen).items():
        got = Counter(one.recipient for time in times for one in within(seen, time, WIDE))
        excess = {
            person: got[person] - count * share * len(times) + rng.random() * 1e-9
            for person, count in rate.items()
        }
        if excess:
            answers[sender] = max(excess, key=lambda person: excess[person])
    return answers
