"""n-1 (Serjantov, Dingledine and Syverson 2002): all mails in the hop but one are the attacker's.

Active: A keeps everybody else's mail back for as long as a round lasts, and S sends his own, of
which he knows the next hop. What leaves beyond these is the one mail that he is after.
"""

from __future__ import annotations

import random
from collections import Counter

from testbed.attack.observation import Observation


def guess(seen: Observation, rng: random.Random) -> dict[int, str]:
    """For each entry of one round that isn't his own, the link that carried more than he sent."""
    answers: dict[int, str] = {}
    for hop in seen.hops:
        went = Counter(receiver for receiver, _ in seen.out(hop))
        own = Counter(seen.own[number] for number, _ in seen.into(hop) if number in seen.own)
        names = sorted(receiver for sender, receiver in seen.links if sender == hop)
        for number, _ in seen.into(hop):
            if number not in seen.own and names:
                answers[number] = max(names, key=lambda to: (went[to] - own[to], rng.random()))
    return answers
