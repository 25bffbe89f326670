"""Which outgoing mail is the one that came in? Costs for it, learnt from the observation. Pure.

Nothing is calibrated with the truth. How long a hop takes, and how much smaller a mail leaves it,
are the same for all mails of a web, so they are what most pairs agree on. A cost is minus the
logarithm of a likelihood, and has a background: a candidate that fits badly is unlikely, never
impossible, so that one surprise doesn't spoil an assignment.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from testbed.attack.observation import Entry, Observation, Transfer

Costs = NDArray[np.float64]

GROWTH = 66 / 48
"""Armour: a line of 64 characters and CRLF for 48 bytes."""
BACKGROUND = 0.02
"""The share of pairs that no model explains."""
NEVER = 1e6
"""The cost of what can't be: leaving before having come."""
SMALLEST_TEXT = 16
"""Bytes after an armour that are more than the end of a mail."""
ROUNDS = 30
"""Of learning the delays."""
LONGEST = 60.0
"""Seconds that no mail stays."""
LEARNT = 120.0
"""Seconds from which delays and sizes are learnt: they are the same to the end."""
MOST_SHAPELY = 50.0
ANY_SIZE = 20_000.0
"""One over the density of the size of any mail at all."""

STARTS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Seconds that a hop may take, as first guesses."""

_ARMOUR = re.compile(rb"-----BEGIN PGP MESSAGE-----.*?-----END PGP MESSAGE-----\s*", re.DOTALL)


@dataclass(frozen=True)
class Room:
    """A place that mails go into and come out of: which came in, and what may have come out."""

    numbers: tuple[int, ...]
    """The entries' places in the observation."""
    entries: tuple[Entry, ...]
    names: tuple[str, ...]
    """What an attacker answers when he picks a candidate: the hop that it goes to."""
    candidates: tuple[Transfer, ...]
    resolution: float = 0.0

    @cached_property
    def delays(self) -> Costs:
        """Seconds from an entry's end to a candidate's beginning."""
        came = np.array([one.mail.end for one in self.entries])
        went = np.array([one.start for one in self.candidates])
        return np.asarray(went[None, :] - came[:, None])

    @cached_property
    def first(self) -> tuple[list[int], list[int]]:
        """The places of what came in the first LEARNT seconds, and of what it may have become."""
        ends = [one.mail.end for one in self.entries]
        starts = [one.start for one in self.candidates]
        until = max(min(ends, default=0.0), min(starts, default=0.0)) + LEARNT
        return (
            [n for n, at in enumerate(ends) if at < until],
            [n for n, at in enumerate(starts) if at < until + LONGEST],
        )

    @cached_property
    def early(self) -> Room:
        """The room as it was in that time."""
        came, went = self.first
        return Room(
            tuple(self.numbers[n] for n in came), tuple(self.entries[n] for n in came),
            tuple(self.names[n] for n in went), tuple(self.candidates[n] for n in went),
            self.resolution,
        )  # fmt: skip


def at_hops(seen: Observation) -> list[Room]:
    """Each hop is a room: mails come in from users, and go out on the links to other hops."""
    rooms = []
    for hop in seen.hops:
        came, went = seen.into(hop), seen.out(hop)
        if came and went:
            rooms.append(
                Room(
                    tuple(number for number, _ in came), tuple(entry for _, entry in came),
                    tuple(name for name, _ in went), tuple(transfer for _, transfer in went),
                    seen.resolution,
                )
            )  # fmt: skip
    return rooms


def assign(costs: Costs) -> list[int | None]:
    """Each row's column, all different, at the least cost in all; None where none is possible."""
    chosen: list[int | None] = [None] * len(costs)
    for row, column in zip(*linear_sum_assignment(costs), strict=True):
        if costs[row, column] < NEVER:
            chosen[row] = int(column)
    return chosen


def pairs(
    rooms: Sequence[Room], costs: Sequence[Costs], rng: random.Random
) -> dict[int, tuple[str, Transfer]]:
    """What the cheapest assignments take for each entry: where it goes, and which transfer it is.

    A mail for which nothing is left gets any of its room's.
    """
    found: dict[int, tuple[str, Transfer]] = {}
    for room, cost in zip(rooms, costs, strict=True):
        for number, column in zip(room.numbers, assign(jittered(cost, rng)), strict=True):
            chosen = rng.randrange(len(room.names)) if column is None else column
            found[number] = room.names[chosen], room.candidates[chosen]
    return found


def named(rooms: Sequence[Room], costs: Sequence[Costs], rng: random.Random) -> dict[int, str]:
    """Where the cheapest assignments say that each entry goes."""
    return {number: name for number, (name, _) in pairs(rooms, costs, rng).items()}


def likeliest(rooms: Sequence[Room], costs: Sequence[Costs], rng: random.Random) -> dict[int, str]:
    """The answers when each mail is looked at by itself."""
    return {
        number: room.names[int(row.argmin())]
        for room, cost in zip(rooms, costs, strict=True)
        for number, row in zip(room.numbers, jittered(cost, rng), strict=True)
    }


def posteriors(costs: Sequence[Costs]) -> list[NDArray[np.float64]]:
    """For each mail, how probable each candidate is by these costs alone."""
    weights = [np.exp(-(cost - cost.min(axis=1, keepdims=True))) for cost in costs]
    return [row / row.sum() for weight in weights for row in weight]


def jittered(costs: Costs, rng: random.Random) -> Costs:
    """Ties are broken at random, and not by the order in which things stand."""
    return costs + np.random.default_rng(rng.getrandbits(64)).random(costs.shape) * 1e-6


# -- sizes ---------------------------------------------------------------------------------------


def sizes(rooms: Sequence[Room], hops: int = 1) -> list[Costs]:
    """Costs by size alone, after so many hops have each taken a layer off."""
    best: list[Costs] = []
    taught = [room.early for room in rooms]
    rare = [np.outer(*(_rarity(np.array(own)) for own in _plain(room))) for room in taught]
    for off, learnt in zip(_off(rooms, hops), _off(taught, hops), strict=True):
        known = np.concatenate([np.isfinite(one).ravel() for one in learnt])
        if known.any():
            flat, weights = (np.concatenate([x.ravel() for x in y])[known] for y in (learnt, rare))
            centre = _commonest(flat, weights)
            scale = _scale(flat, centre)
            costs = [_around(one, centre, scale) for one in off]
            best = [np.minimum(*two) for two in zip(best, costs, strict=True)] if best else costs
    return best


def _plain(room: Room) -> tuple[list[int], list[int]]:
    """The sizes of all that came, and of all that went."""
    return [one.mail.size for one in room.entries], [one.size for one in room.candidates]


def _off(rooms: Sequence[Room], hops: int) -> Iterator[list[Costs]]:
    """For each supposition and room by how much each candidate differs from what it should be."""
    out = [np.array(_plain(room)[1], dtype=float) for room in rooms]
    models = [np.array([sizes_after(one, hops) for one in room.entries]).T for room in rooms]
    for kind in zip(*models, strict=True):
        yield [o[None, :] - model[:, None] for o, model in zip(out, kind, strict=True)]


def sizes_after(entry: Entry, hops: int = 1) -> tuple[float, float, float]:
    """An entry's size as it leaves, up to a constant, by three suppositions; NaN is none.

    The layer shrinks, and what stands after the armour, a reply's text, stays; or that text is
    sealed, and grows. Where nothing can be read (a log), all shrinks, or stays, or grows.
    """
    shrunk, grown = GROWTH**-hops, GROWTH**hops
    armour = _ARMOUR.search(entry.mail.data)
    if armour is None:
        size = float(entry.mail.size)
        return size * shrunk, size, size * grown
    tail = len(entry.mail.data) - armour.end()
    layer = (armour.end() - armour.start()) * shrunk
    return layer + tail, layer + tail * grown if tail > SMALLEST_TEXT else np.nan, np.nan


def _rarity(sizes_: Costs) -> Costs:
    """A size that many have to the byte says little of each."""
    _, place, count = np.unique(sizes_, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / count[place])


def _commonest(off: Costs, weights: Costs, wide: float = 48.0) -> float:
    """The difference of sizes that most pairs have, give or take half of `wide`."""
    order = np.argsort(off)
    ordered, heavy = off[order], np.append(0.0, np.cumsum(weights[order]))
    ends = np.searchsorted(ordered, ordered + wide, "right")
    at = int((heavy[ends] - heavy[:-1]).argmax())
    return float(np.median(ordered[at : ends[at]]))


def _scale(off: Costs, centre: float) -> float:
    """How wide the neighbourhood of the centre is."""
    near = off[np.abs(off - centre) < 100]
    return max(4.0, float(1.48 * np.median(np.abs(near - centre)))) if len(near) else 50.0


def _around(off: Costs, centre: float, scale: float) -> Costs:
    """Costs of a normal error about the centre."""
    error = (np.nan_to_num(off, nan=1e9) - centre) / scale
    background = BACKGROUND / ANY_SIZE
    return np.asarray(-np.log(np.exp(-0.5 * error**2) / (scale * np.sqrt(2 * np.pi)) + background))


# -- times ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Delays:
    """How long mails are supposed to stay: a gamma distribution (of shape 1 in a Poisson mix)."""

    mean: float
    shape: float
    others: float
    """Candidates a second that are none of these mails."""

    def density(self, late: Late) -> Costs:
        """At these delays."""
        rate = self.shape / self.mean
        level = self.shape * math.log(rate) - math.lgamma(self.shape)
        return np.asarray(np.exp((self.shape - 1) * late.logs - rate * late.seconds + level))


@dataclass(frozen=True)
class Late:
    """The delays of those pairs in a room that can be, as far as its clocks can tell; made once.

    Nothing leaves before it came, nor after LONGEST: of a long run that is most.
    """

    size: tuple[int, ...]
    """Entries and candidates."""
    places: tuple[NDArray[np.intp], ...]
    """The entry and the candidate of each pair."""
    seconds: Costs
    logs: Costs
    span: float
    """Seconds between the shortest and the longest delay of any pair."""

    @classmethod
    def of(cls, room: Room) -> Late:
        """A coarse clock may put the end before the beginning."""
        delays = room.delays + room.resolution
        places = np.nonzero((delays >= 0) & (delays < LONGEST))
        seconds = np.maximum(delays[places], 1e-3)
        span = float(np.ptp(np.clip(delays, 1e-3, LONGEST)))
        return cls(delays.shape, places, seconds, np.log(seconds), span)


def times(rooms: Sequence[Room], read: Sequence[Costs] | None = None) -> list[Costs]:
    """Costs by delay, which is learnt; `read` are costs by other things that help to learn it.

    What leaves is a process whose rate is the sum of all mails' densities (and of what is none of
    them). Its likelihood is made larger step by step (expectation maximisation) from several
    guesses, and the best of these stands.
    """
    if not rooms:
        return []
    late = [Late.of(room.early) for room in rooms]
    odds: list[Any] = [1.0] * len(rooms)
    if read:
        odds = [
            np.exp(-cost[np.ix_(*room.first)][one.places]) * ANY_SIZE
            for room, cost, one in zip(rooms, read, late, strict=True)
        ]
    learnt = [_learnt(late, odds, start) for start in STARTS]
    found = max(learnt, key=lambda one: one[0])[1]
    return [_timed(Late.of(room), found) for room in rooms]


def _timed(late: Late, delays: Delays) -> Costs:
    costs = np.full(late.size, NEVER)
    costs[late.places] = -np.log(delays.density(late) + BACKGROUND / LONGEST)
    return costs


def _learnt(late: Sequence[Late], odds: Sequence[Any], start: float) -> tuple[float, Delays]:
    """The likelihood in the end, and the delays, if they are about `start` at first."""
    seconds = sum(room.span + 1 for room in late)
    model = Delays(start, 1.0, 0.1 * sum(room.size[1] for room in late) / seconds)
    likelihood = 0.0
    for _ in range(ROUNDS):
        likelihood, weight, total, square, other = 0.0, 0.0, 0.0, 0.0, 0.0
        for room, ratio in zip(late, odds, strict=True):
            rate = model.density(room) * ratio
            whole = np.bincount(room.places[1], rate, room.size[1]) + model.others
            share = rate / whole[room.places[1]]
            likelihood += float(np.log(whole).sum())
            weight += float(share.sum())
            total += float((share * room.seconds).sum())
            square += float((share * room.seconds**2).sum())
            other += float((model.others / whole).sum())
        mean = max(1e-3, total / max(weight, 1e-9))
        spread = max(1e-9, square / max(weight, 1e-9) - mean**2)
        model = Delays(mean, min(MOST_SHAPELY, max(0.5, mean**2 / spread)), other / seconds + 1e-6)
        likelihood -= model.others * seconds + weight
    return likelihood, model
