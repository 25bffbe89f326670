"""Order: first in, first out (what a mix's shuffling is there against, Chaum 1981)."""

from __future__ import annotations

import random
from collections import deque

from testbed.attack.observation import Observation


def guess(seen: Observation, rng: random.Random) -> dict[int, str]:
    """Whatever leaves is the mail that has waited longest; what leaves an empty hop is nothing."""
    answers: dict[int, str] = {}
    for hop in seen.hops:
        going = seen.out(hop)
        coming = deque(seen.into(hop))
        waiting: deque[int] = deque()
        for receiver, transfer in going:
            while coming and coming[0][1].mail.end <= transfer.start + seen.resolution:
                waiting.append(coming.popleft()[0])
            if waiting:
                answers[waiting.popleft()] = receiver
        left = [*waiting, *(number for number, _ in coming)]
        names = [receiver for receiver, _ in going]
        answers |= {number: rng.choice(names) for number in left if names}
    return answers
