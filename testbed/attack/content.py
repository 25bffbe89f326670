"""Content: a mail that leaves has whole lines of one that came in (Chaum 1981: why mixes seal)."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import numpy as np

from testbed.attack.match import Costs, Room, at_hops, likeliest
from testbed.attack.observation import Observation

LONG = 16
"""Bytes of a line that says something; shorter ones are everybody's."""
SURE = 20.0
"""What an unchanged text takes off a cost: against e^20, no size or time says anything."""


def guess(seen: Observation, rng: random.Random) -> dict[int, str]:
    """For each entry, where the transfer goes that has most of its lines; of several, any."""
    rooms = at_hops(seen)
    return likeliest(rooms, costs(rooms), rng)


def costs(rooms: Sequence[Room]) -> list[Costs]:
    """Costs by the share of an entry's own lines that a candidate has."""
    return [_room(room) for room in rooms]


def _room(room: Room) -> Costs:
    came = [lines(entry.mail.data) for entry in room.entries]
    known = Counter(line for own in came for line in own)
    own = [{line for line in each if known[line] == 1} for each in came]
    places = {line: row for row, each in enumerate(own) for line in each}
    found = np.zeros((len(own), len(room.candidates)))
    for column, candidate in enumerate(room.candidates):
        for line in lines(candidate.data):
            if line in places:
                found[places[line], column] += 1
    share = found / np.array([max(1, len(each)) for each in own])[:, None]
    return np.asarray(-SURE * share)


def lines(data: bytes) -> set[bytes]:
    """The lines of a mail that are long enough to be its own."""
    return {line for line in data.split(b"\r\n") if len(line) >= LONG}
