"""Who wrote it? Each mail that leaves the web, with all that may have been its coming in."""

from __future__ import annotations

import random
from collections import defaultdict

import numpy as np

from testbed.attack import ends, match
from testbed.attack.observation import Observation


def guess(seen: Observation, rng: random.Random) -> dict[int, str]:
    """For each exit, who sent the entry that fits best, each entry being one mail at most."""
    answers: dict[int, str] = {}
    for cost in ends.costs(seen):
        for exit_, entry in enumerate(match.assign(match.jittered(cost.T, rng))):
            chosen = rng.randrange(len(seen.entries)) if entry is None else entry
            answers[exit_] = seen.entries[chosen].sender
    return answers


def of_people(seen: Observation, rng: random.Random) -> dict[str, str]:
    """For each recipient, whose entries fit all that he gets best; each writes to one person."""
    people = sorted({entry.sender for entry in seen.entries})
    theirs: dict[str, list[int]] = defaultdict(list)
    for number, exit_ in enumerate(seen.exits):
        theirs[exit_.recipient].append(number)
    answers: dict[str, str] = {}
    for cost in costs(seen):
        whole = np.array([cost[own].sum(axis=0) for own in theirs.values()])
        for who, person in zip(theirs, match.assign(match.jittered(whole, rng)), strict=True):
            answers[who] = rng.choice(people) if person is None else people[person]
    return answers


def costs(seen: Observation) -> list[match.Costs]:
    """What he thinks of each person, for each exit: a person's entries taken together."""
    people = sorted({entry.sender for entry in seen.entries})
    theirs = [[n for n, one in enumerate(seen.entries) if one.sender == who] for who in people]
    return [
        -np.logaddexp.reduceat(-cost.T[:, np.concatenate(theirs)], _starts(theirs), axis=1)
        for cost in ends.costs(seen)
    ]


def _starts(groups: list[list[int]]) -> list[int]:
    return [sum(map(len, groups[:at])) for at in range(len(groups))]
