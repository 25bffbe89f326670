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
from collections.abc import Sequence
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
    out = [np.array([one.size for one in room.candidates], dtype=float) for room in rooms]
    came = [np.array([one.mail.size for one in room.entries], dtype=float) for room in rooms]
    rare = [np.outer(_rarity(one), _rarity(other)) for one, other in zip(came, out, strict=True)]
    best: list[Costs] = []
    models = [np.array([sizes_after(one, hops) for one in room.entries]).T for room in rooms]
    for kind in zip(*models, strict=True):
        off = [o[None, :] - model[:, None] for o, model in zip(out, kind, strict=True)]
        known = np.concatenate([np.isfinite(one).ravel() for one in off])
        if known.any():
            flat, weights = (np.concatenate([x.ravel() for x in y])[known] for y in (off, rare))
            costs = _around(off, _commonest(flat, weights))
            best = [np.minimum(*two) for two in zip(best, costs, strict=True)] if best else costs
    return best


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


def _around(off: Sequence[Costs], centre: float) -> list[Costs]:
    """Costs of a normal error about the centre, as wide as its neighbourhood is."""
    off = [np.nan_to_num(one, nan=1e9) for one in off]
    near = np.concatenate([one[np.abs(one - centre) < 100] for one in off])
    scale = max(4.0, float(1.48 * np.median(np.abs(near - centre)))) if len(near) else 50.0
    background = BACKGROUND / ANY_SIZE
    return [
        -np.log(
            np.exp(-0.5 * ((one - centre) / scale) ** 2) / (scale * np.sqrt(2 * np.pi)) + background
        )
        for one in off
    ]


# -- times ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Delays:
    """How long mails are supposed to stay: a gamma distribution (of shape 1 in a Poisson mix)."""

    mean: float
    shape: float
    others: float
    """Candidates a second that are none of these mails."""

    def density(self, late: Late) -> Costs:
        """At these delays; nothing leaves before it came."""
        rate = self.shape / self.mean
        level = self.shape * math.log(rate) - math.lgamma(self.shape)
        found = np.exp((self.shape - 1) * late.logs - rate * late.seconds + level)
        return np.asarray(np.where(late.possible, found, 0.0))


@dataclass(frozen=True)
class Late:
    """The delays of all pairs in a room, as far as its clocks can tell; made once."""

    seconds: Costs
    logs: Costs
    possible: NDArray[np.bool_]

    @classmethod
    def of(cls, room: Room) -> Late:
        """A coarse clock may put the end before the beginning."""
        delays = room.delays + room.resolution
        seconds = np.clip(delays, 1e-3, LONGEST)
        return cls(seconds, np.log(seconds), (delays >= 0) & (delays < LONGEST))


def times(rooms: Sequence[Room], read: Sequence[Costs] | None = None) -> list[Costs]:
    """Costs by delay, which is learnt; `read` are costs by other things that help to learn it.

    What leaves is a process whose rate is the sum of all mails' densities (and of what is none of
    them). Its likelihood is made larger step by step (expectation maximisation) from several
    guesses, and the best of these stands.
    """
    if not rooms:
        return []
    late = [Late.of(room) for room in rooms]
    odds = [np.exp(-cost) * ANY_SIZE for cost in read] if read else [1.0] * len(rooms)
    learnt = [_learnt(late, odds, start) for start in STARTS]
    found = max(learnt, key=lambda one: one[0])[1]
    floor = BACKGROUND / LONGEST
    return [np.where(one.possible, -np.log(found.density(one) + floor), NEVER) for one in late]


def _learnt(late: Sequence[Late], odds: Sequence[Any], start: float) -> tuple[float, Delays]:
    """The likelihood in the end, and the delays, if they are about `start` at first."""
    seconds = sum(float(np.ptp(room.seconds)) + 1 for room in late)
    model = Delays(start, 1.0, 0.1 * sum(room.seconds.shape[1] for room in late) / seconds)
    likelihood = 0.0
    for _ in range(ROUNDS):
        likelihood, weight, total, square, other = 0.0, 0.0, 0.0, 0.0, 0.0
        for room, ratio in zip(late, odds, strict=True):
            rate = model.density(room) * ratio
            whole = rate.sum(axis=0) + model.others
            share = rate / whole
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
