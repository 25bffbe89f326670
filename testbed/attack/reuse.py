"""Reply blocks used again: the same block opens to the same bytes, however its text is sealed."""

from __future__ import annotations

import random
import re
from collections import defaultdict

import numpy as np

from testbed.attack.match import NEVER, assign
from testbed.attack.observation import Observation

_ARMOUR = re.compile(rb"-----BEGIN PGP MESSAGE-----.*?-----END PGP MESSAGE-----", re.DOTALL)


def blocks(seen: Observation) -> dict[tuple[str, bytes], list[int]]:
    """The entries that came with the same block at the same hop; only blocks used twice or more."""
    found: dict[tuple[str, bytes], list[int]] = defaultdict(list)
    for hop in seen.hops:
        for number, entry in seen.into(hop):
            if armour := _ARMOUR.search(entry.mail.data):
                found[hop, armour[0]].append(number)
    return {block: uses for block, uses in found.items() if len(uses) > 1}


def guess(seen: Observation, rng: random.Random) -> dict[int, str]:
    """For each entry with a block that was used again, where that block leads to.

    Transfers that share their armour are one block's; which block's, its times and number say.
    """
    answers: dict[int, str] = {}
    used = blocks(seen)
    for hop in seen.hops:
        own = [uses for (at, _), uses in used.items() if at == hop]
        names = sorted(receiver for sender, receiver in seen.links if sender == hop)
        found = _groups(seen, hop)
        came = [[seen.entries[number].mail.end for number in uses] for uses in own]
        costs = np.array([[_apart(a, b) for _, b in found] for a in came])
        chosen = assign(costs) if costs.size else [None] * len(own)
        for uses, group in zip(own, chosen, strict=True):
            name = rng.choice(names) if group is None else found[group][0]
            answers |= dict.fromkeys(uses, name)
    return answers


def _groups(seen: Observation, hop: str) -> list[tuple[str, list[float]]]:
    """Transfers out of a hop that share their armour: where to, and when each began."""
    found: dict[tuple[str, bytes], list[float]] = defaultdict(list)
    for receiver, transfer in seen.out(hop):
        if armour := _ARMOUR.search(transfer.data):
            found[receiver, armour[0]].append(transfer.start)
    return [(name, starts) for (name, _), starts in found.items() if len(starts) > 1]


def _apart(came: list[float], went: list[float]) -> float:
    """How long the uses of a block waited in all, if these are they; too few or too early is no."""
    if len(came) != len(went):
        return NEVER / 2 + abs(len(came) - len(went))
    waits = [b - a for a, b in zip(sorted(came), sorted(went), strict=True)]
    return sum(waits) if min(waits) >= 0 else NEVER / 2
