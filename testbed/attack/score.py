"""How good an attack's answers are, and what chance would have given. Pure."""

from __future__ import annotations

import random
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from testbed.attack import statistics
from testbed.attack.match import Costs, posteriors
from testbed.attack.questions import Asked


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
    """Of a classifier: the least seconds by which cells with mail had to be late in the trace for
    it to find them."""
    planted: bool | None = None
    """Whether the attack found what was planted in the trace; None if nothing was."""

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
    chance, p = statistics.permuted(given, wanted, [one.group for one in asked.values()], rng)
    low, high = statistics.share(right, [one.block for one in asked.values()], rng)
    if all(one.person for one in asked.values()):
        p = max(p, statistics.renamed(given, wanted, [one.group for one in asked.values()], rng))
        by_person = statistics.share(right, wanted, rng)
        low, high = min(low, by_person[0]), max(high, by_person[1])
    return Score(len(right), sum(right) / len(right), chance, low, high, p)


def of_trials(guesses: Mapping[Any, Hashable], asked: Mapping[Any, Asked], chance: float) -> Score:
    """The share of right answers in independent trials, each with the same chance."""
    right = sum(guesses.get(question) == one.answer for question, one in asked.items())
    low, high = statistics.clopper_pearson(right, len(asked))
    p = statistics.binomial(right, len(asked), chance)
    return Score(len(asked), right / len(asked), chance, low, high, p)
