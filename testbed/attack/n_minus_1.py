"""n-1 (Serjantov, Dingledine and Syverson 2002): all mails in the hop but one are the attacker's.

Active: A keeps everybody else's mail back for as long as a round lasts, and S sends his own, of
which he knows the next hop and the recipient. What leaves beyond these, a hop or the web, is the
one mail that he is after.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

from testbed.attack import ends, match
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


def to_the_end(seen: Observation, rng: random.Random) -> dict[int, str]:
    """The same, but he looks where what isn't his own leaves the web: that hop is the last one.

    A round has as many targets as hops: which of them leaves where, content, size and time say.
    """
    entries = [number for number in range(len(seen.entries)) if number not in seen.own]
    exits = tuple(one for one in seen.exits if one.recipient not in seen.friends)
    foreign = replace(seen, entries=tuple(seen.entries[n] for n in entries), exits=exits)
    answers: dict[int, str] = {}
    for cost in ends.costs(foreign):
        best = match.jittered(cost, rng).argmin(axis=1)
        hops = (exits[int(place)].hop for place in best)
        answers |= dict(zip(entries, hops, strict=True))
    return answers
