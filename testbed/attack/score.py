"""How good an attack's answers are, and what chance would have given. Pure."""

from __future__ import annotations

import random
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testbed.attack import statistics
from testbed.attack.match import Costs, posteriors
from testbed.attack.questions import Asked
from testbed.attack.statistics import Luck
from testbed.attack.ticks import Pupil

AT_A_TIME = 250
"""Exchanges of all answers that are in memory together."""


@dataclass(frozen=True)
class Sets:
    """Anonymity by an attacker's own probabilities: medians over the mails."""

    size: float
    """2^S."""
    degree: float
    min_entropy: float

    @classmethod
    def of(cls, costs: list[Costs]) -> Sets:
        """From an attack's costs, each mail by itself."""
        rows = posteriors(costs)
        return cls(
            median(map(statistics.set_size, rows)),
            median(map(statistics.degree, rows)),
            median(map(statistics.min_entropy, rows)),
        )


@dataclass(frozen=True)
class Crossing:
    """How a mail crosses a hop, as an attacker supposes (seconds of the run), and if it is so."""

    came: float
    went: float
    right: bool


@dataclass(frozen=True)
class Chain:
    """What D reads in logs: who wrote, by which two hops; and whether it is so."""

    sender: str
    first: str
    second: str
    right: bool


@dataclass(frozen=True)
class Score:
    """What an attack got: a share of right answers, or the AUC of a classifier."""

    n: int
    value: float
    chance: float
    low: float
    high: float
    p: float
    """One-sided, by permutation, of this attack alone."""
    sets: Sets | None = None
    leak: float | None = None
    """The smallest share of mails given away that the attack was seen to find in the trace."""
    late: float | None = None
    """The least seconds by which cells with mail had to be late in the trace for it to find them,
    if that is what it looks for."""
    planted: bool | None = None
    """Whether the attack found what was planted in the trace; None if nothing was."""
    below: float = 1.0
    """As p, of the other side: of a score as low as this."""

    @property
    def advantage(self) -> float:
        """0 at chance, 1 when all is known."""
        return statistics.advantage(self.value, self.chance)

    @property
    def most(self) -> float:
        """The advantage's upper bound."""
        return statistics.advantage(self.high, self.chance)


def of_answers(
    guesses: Mapping[Any, Hashable], asked: Mapping[Any, Asked], rng: random.Random
) -> Score:
    """The share of right answers; a question without an answer is answered wrongly."""
    given = [guesses.get(question) for question in asked]
    wanted = [one.answer for one in asked.values()]
    right = [a == b for a, b in zip(given, wanted, strict=True)]
    groups = [one.group for one in asked.values()]
    luck = statistics.permuted(given, wanted, groups, rng)
    low, high = statistics.share(right, [one.block for one in asked.values()], rng)
    if all(one.person for one in asked.values()):
        people = statistics.renamed(given, wanted, groups, rng)
        luck = Luck(luck.chance, max(luck.p, people.p), max(luck.below, people.below))
        by_person = statistics.share(right, wanted, rng)
        low, high = min(low, by_person[0]), max(high, by_person[1])
    if all(one.home for one in asked.values()):
        # Who shares the one edge with a person may be told from him by the other one.
        homes = [one.home for one in asked.values()]
        luck = _either(luck, statistics.renamed(given, wanted, homes, rng))
    return _score(right, luck, (low, high))


def _score(right: Sequence[bool], luck: Luck, within: tuple[float, float]) -> Score:
    value = sum(right) / len(right)
    return Score(len(right), value, luck.chance, *within, luck.p, below=luck.below)


def _either(one: Luck, other: Luck) -> Luck:
    """Of two ways to exchange answers the one that says more, and of their chances the lower."""
    p, below = min(one.p, other.p), min(one.below, other.below)
    return Luck(min(one.chance, other.chance), min(1.0, 2 * p), min(1.0, 2 * below))


def of_taught(pupil: Pupil, asked: Mapping[Any, Asked], rng: random.Random) -> Score:
    """The share of right answers of classifiers that are taught with others' answers; by chance
    they are taught and asked with answers exchanged within a group."""
    wanted = list(asked.values())
    labels = np.array(
        [names.index(str(one.answer)) for names, one in zip(pupil.nexts, wanted, strict=True)]
    )
    right = (pupil.guesses(labels[:, None])[:, 0] == labels).tolist()
    groups = np.unique([str(one.group) for one in wanted], return_inverse=True)[1]
    generator = np.random.default_rng(rng.getrandbits(64))
    hits: list[NDArray[np.intp]] = []
    for count in [AT_A_TIME] * (statistics.PERMUTATIONS // AT_A_TIME + 1):
        mixed = np.tile(labels[:, None], (1, count))
        for group in np.unique(groups):
            mixed[groups == group] = generator.permuted(mixed[groups == group], axis=0)
        hits.append((pupil.guesses(mixed) == mixed).sum(axis=0))
    null = np.concatenate(hits)[: statistics.PERMUTATIONS]
    luck = Luck.of(null, sum(right), len(right))
    low, high = statistics.share(right, [one.block for one in wanted], rng)
    # The bootstrap doesn't know that another load would have taught another classifier.
    spread = float(np.quantile(np.abs(null / len(right) - luck.chance), statistics.LEVEL))
    value = sum(right) / len(right)
    return _score(right, luck, (min(low, value - spread), max(high, value + spread)))


def of_trials(guesses: Mapping[Any, Hashable], asked: Mapping[Any, Asked], chance: float) -> Score:
    """The share of right answers in independent trials, each with the same chance."""
    right = [guesses.get(question) == one.answer for question, one in asked.items()]
    luck = statistics.binomial(sum(right), len(right), chance)
    return _score(right, luck, statistics.clopper_pearson(sum(right), len(right)))
