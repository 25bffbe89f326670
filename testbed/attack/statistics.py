"""What a score is worth: intervals, chance, several tests at once, anonymity sets. Pure.

The random source is passed in. Where answers depend on each other (all of one assignment do),
chance and p come from permutations, and intervals from a bootstrap over blocks.
"""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

LEVEL = 0.95
PERMUTATIONS = 9999
"""So many that p can be small enough for a whole matrix of tests, corrected."""
RESAMPLED = 999


@dataclass(frozen=True)
class Luck:
    """What chance gives."""

    chance: float
    """The share of right answers that it has."""
    p: float
    """One-sided: of at least as many right answers."""
    below: float
    """One-sided: of at most as many."""

    @classmethod
    def of(cls, hits: NDArray[np.intp], right: int, n: int) -> Luck:
        """From how many are right when answers are exchanged. The order that was seen counts as
        one of these, so that no p is 0."""
        p, below = (
            (int(as_far.sum()) + 1) / (len(hits) + 1) for as_far in (hits >= right, hits <= right)
        )
        return cls(float(hits.mean()) / max(1, n), p, below)


def clopper_pearson(right: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """The exact interval of a share, for independent trials."""
    if not n:
        return 0.0, 1.0
    found = stats.binomtest(right, n).proportion_ci(level, "exact")
    return float(found.low), float(found.high)


def permuted(
    guesses: Sequence[Hashable],
    answers: Sequence[Hashable],
    groups: Sequence[Hashable],
    rng: random.Random,
    count: int = PERMUTATIONS,
) -> Luck:
    """Of as many right guesses, if the true answers of a group are shuffled."""
    names = {name: code for code, name in enumerate(dict.fromkeys([*guesses, *answers]))}
    given, wanted = (np.array([names[one] for one in side]) for side in (guesses, answers))
    by_group: dict[Hashable, list[int]] = defaultdict(list)
    for place, group in enumerate(groups):
        by_group[group].append(place)
    generator = np.random.default_rng(rng.getrandbits(64))
    hits = np.zeros(count, dtype=int)
    for places in by_group.values():
        shuffled = generator.permuted(np.tile(wanted[places], (count, 1)), axis=1)
        hits += (shuffled == given[places]).sum(axis=1)
    return Luck.of(hits, int((given == wanted).sum()), len(wanted))


def renamed(
    guesses: Sequence[Hashable],
    answers: Sequence[Hashable],
    groups: Sequence[Hashable],
    rng: random.Random,
    count: int = PERMUTATIONS,
) -> Luck:
    """Of as many right guesses, if the names of those in a group are shuffled.

    All answers of one name go together: for guesses that depend on the name and not on the mail.
    """
    pairs = Counter(zip(groups, guesses, answers, strict=True))
    generator = np.random.default_rng(rng.getrandbits(64))
    hits = np.zeros(count, dtype=int)
    for group in dict.fromkeys(groups):
        names = list(dict.fromkeys(answer for at, _, answer in pairs if at == group))
        table = np.array([[pairs[group, said, name] for name in names] for said in names])
        order = generator.permuted(np.tile(np.arange(len(names)), (count, 1)), axis=1)
        hits += table[np.arange(len(names)), order].sum(axis=1)
    right = sum(pairs[one] for one in pairs if one[1] == one[2])
    return Luck.of(hits, right, len(answers))


def binomial(right: int, n: int, chance: float) -> Luck:
    """Of so many right answers in independent trials."""
    p, below = stats.binom.sf(right - 1, n, chance), stats.binom.cdf(right, n, chance)
    return Luck(chance, float(p), float(below))


def bootstrap(
    blocks: Sequence[Hashable],
    statistic: Callable[[NDArray[np.intp]], float],
    rng: random.Random,
    level: float = LEVEL,
    count: int = RESAMPLED,
) -> tuple[float, float]:
    """The percentile interval of a statistic of places, when whole blocks of them are drawn."""
    by_block: dict[Hashable, list[int]] = defaultdict(list)
    for place, block in enumerate(blocks):
        by_block[block].append(place)
    own = [np.array(places, dtype=np.intp) for places in by_block.values()]
    drawn = [statistic(np.concatenate(rng.choices(own, k=len(own)))) for _ in range(count)]
    low, high = np.nanquantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def share(
    right: Sequence[bool], blocks: Sequence[Hashable], rng: random.Random
) -> tuple[float, float]:
    """The interval of a share of right answers: the wider of Clopper-Pearson's and the blocks'.

    The bootstrap knows of dependence, but says [1, 1] when all are right; the other is the reverse.
    """
    exact = clopper_pearson(sum(right), len(right))
    values = np.array(right, dtype=float)
    drawn = bootstrap(blocks, lambda places: float(values[places].mean()), rng)
    return min(exact[0], drawn[0]), max(exact[1], drawn[1])


def duels(
    scores: ArrayLike, labels: ArrayLike, blocks: Sequence[Hashable]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each block: how often a busy one of it scores higher than an idle one of it (ties count
    half), and how many such pairs it has. Their sums' ratio is an AUC that time doesn't confound.

    Scores and labels may have columns: then there is one for each.
    """
    values, busy = np.asarray(scores, dtype=float), np.asarray(labels, dtype=bool)
    by_block: dict[Hashable, list[int]] = defaultdict(list)
    for place, block in enumerate(blocks):
        by_block[block].append(place)
    won, pairs = [], []
    for places in by_block.values():
        own = busy[places]
        ups = own.sum(axis=0)
        won.append((stats.rankdata(values[places], axis=0) * own).sum(axis=0) - ups * (ups + 1) / 2)
        pairs.append(ups * (len(places) - ups))
    return np.array(won), np.array(pairs, dtype=float)


def holm(ps: Mapping[Hashable, float]) -> dict[Hashable, float]:
    """p values that hold for all tests together (Holm 1979)."""
    adjusted: dict[Hashable, float] = {}
    highest = 0.0
    for place, (name, p) in enumerate(sorted(ps.items(), key=lambda one: one[1])):
        highest = max(highest, min(1.0, (len(ps) - place) * p))
        adjusted[name] = highest
    return adjusted


def advantage(value: float, chance: float) -> float:
    """How much of what chance leaves open was got: 0 at chance, 1 when all is known."""
    return (value - chance) / (1 - chance) if chance < 1 else math.nan


def power(n: int, chance: float, leak: float, alpha: float = 0.05) -> float:
    """How surely n independent trials show a leak that gives away this share of the mail."""
    needed = int(stats.binom.isf(alpha, n, chance)) + 1
    return float(stats.binom.sf(needed - 1, n, leak + (1 - leak) * chance))


# -- anonymity sets: each depends on the attacker's model, whose probabilities these are -----------


def entropy(probabilities: ArrayLike) -> float:
    """S in bits (Serjantov and Danezis 2002)."""
    p = np.asarray(probabilities, dtype=float)
    p = p[p > 0]
    return float(-(p * np.log2(p)).sum())


def set_size(probabilities: ArrayLike) -> float:
    """The effective anonymity set, 2^S."""
    return float(2 ** entropy(probabilities))


def degree(probabilities: ArrayLike) -> float:
    """Diaz's degree of anonymity (2002): S over the most it could be; 0 if there is one only."""
    count = np.asarray(probabilities).size
    return entropy(probabilities) / math.log2(count) if count > 1 else 0.0


def min_entropy(probabilities: ArrayLike) -> float:
    """In bits: what the best single guess is worth."""
    return float(-math.log2(np.asarray(probabilities, dtype=float).max()))
