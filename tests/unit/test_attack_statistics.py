"""The statistics of the attacks, against figures that are known."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike

from testbed.attack import busy, plant, statistics
from testbed.attack.statistics import Luck


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [
        (30, 30, 0.884, 1.0),
        (100, 100, 0.964, 1.0),
        (95, 100, 0.887, 0.984),
        (50, 1000, 0.037, 0.065),
    ],
)
def test_clopper_pearson(right: int, n: int, low: float, high: float) -> None:
    assert statistics.clopper_pearson(right, n) == pytest.approx((low, high), abs=0.001)


def test_nothing_asked_is_nothing_known() -> None:
    assert statistics.clopper_pearson(0, 0) == (0.0, 1.0)


def test_of_permuted_labels_about_one_is_right_and_four_are_rare() -> None:
    """Matches of a shuffled assignment are about Poisson(1): P(>= 4) = .019."""
    answers = list(range(40))
    guesses = [*range(4), *range(5, 40), 4]
    luck = statistics.permuted(guesses, answers, [""] * 40, random.Random(1))
    assert luck.chance * 40 == pytest.approx(1.0, abs=0.05)
    assert luck.p == pytest.approx(0.019, abs=0.005)
    assert luck.below == pytest.approx(0.996, abs=0.005)


def test_labels_are_exchanged_within_their_groups_only() -> None:
    luck = statistics.permuted(["a", "b"], ["a", "b"], ["one", "two"], random.Random(1))
    assert luck == Luck(1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("n", "chance", "leak"),
    [
        (80, 1 / 20, 0.10),
        (280, 1 / 20, 0.05),
        (1420, 1 / 20, 0.02),
        (880, 0.5, 0.10),
        (3460, 0.5, 0.05),
    ],
)
def test_so_many_trials_show_such_a_leak_with_90_percent_power(
    n: int, chance: float, leak: float
) -> None:
    assert statistics.power(n, chance, leak) == pytest.approx(0.9, abs=0.02)
    assert statistics.power(n // 2, chance, leak) < 0.8


def test_the_smallest_visible_leak_falls_as_trials_grow() -> None:
    assert plant.visible(2, 0.5, 0.05) == []
    leaks = [plant.visible(n, 0.25, 0.05)[0] for n in (40, 100, 400, 4000)]
    assert leaks == sorted((leak for leak in leaks if leak is not None), reverse=True)


def test_no_false_alarm_more_often_than_said() -> None:
    """At chance, p is below .05 in about one of twenty runs."""
    rng = random.Random(3)
    alarms = 0
    for _ in range(200):
        answers = [rng.randrange(4) for _ in range(60)]
        guesses = [rng.randrange(4) for _ in range(60)]
        alarms += statistics.permuted(guesses, answers, [""] * 60, rng, 199).p < 0.05
    assert alarms <= 20  # P(more) < .001


def test_the_bootstrap_knows_that_mails_of_a_block_are_alike() -> None:
    blocks = [place // 20 for place in range(200)]
    alike = [block % 2 == 0 for block in blocks]
    mixed = [place % 2 == 0 for place in range(200)]
    wide = statistics.share(alike, blocks, random.Random(1))
    narrow = statistics.share(mixed, blocks, random.Random(1))
    assert wide[1] - wide[0] > 2 * (narrow[1] - narrow[0])


def test_all_right_is_not_certainty() -> None:
    low, high = statistics.share([True] * 100, [n // 10 for n in range(100)], random.Random(1))
    assert (low, high) == (pytest.approx(0.964, abs=0.001), 1.0)


def auc(scores: ArrayLike, labels: ArrayLike, blocks: list[int]) -> Any:
    won, pairs = statistics.duels(scores, labels, blocks)
    return won.sum(axis=0) / pairs.sum(axis=0)


def test_auc() -> None:
    one = [0] * 4
    assert auc([1, 2, 3, 4], [False, False, True, True], one) == 1.0
    assert auc([1, 1, 1, 1], [False, False, True, True], one) == 0.5
    columns = np.array([[1, 4], [2, 3], [3, 2], [4, 1]])
    labels = np.array([[False, False]] * 2 + [[True, True]] * 2)
    assert auc(columns, labels, one).tolist() == [1.0, 0.0]


def test_only_windows_of_one_time_are_told_apart() -> None:
    """The second time is higher in all and busier: that isn't what a link told."""
    won, pairs = statistics.duels(
        [1, 1, 1, 9, 9, 9], [False, False, True, False, True, True], [0, 0, 0, 1, 1, 1]
    )
    assert (won.tolist(), pairs.tolist()) == ([1.0, 1.0], [2.0, 2.0])


@pytest.mark.parametrize("drift", [0.0, 8.0], ids=["steady", "drifting"])
@pytest.mark.parametrize("odd", [0.0, 3.0], ids=["alike", "unlike"])
@pytest.mark.parametrize("sure", [1.0, 0.4], ids=["all", "few"])
def test_a_classifier_of_noise_is_at_chance_and_not_below_it(
    drift: float, odd: float, sure: float
) -> None:
    """Moments differ in how many windows are busy and in what the machine does, links in their
    looks; one that had mail has the less of what is left, and not each window is sure: none of it
    is a reason to look worse than it is, or better."""
    found = []
    generator = np.random.default_rng(1)
    for _ in range(60):
        moments, links = (one.ravel() for one in np.mgrid[0:30, 0:20])
        order = np.argsort(generator.random((30, 20)) * generator.random((30, 1)), axis=0)
        busy_ = (np.argsort(order, axis=0) < 6).ravel()  # six of each link
        rows = generator.normal(size=(600, 14)) + drift * generator.normal(size=(30, 14))[moments]
        rows += odd * generator.normal(size=(20, 14))[links]
        kept = np.flatnonzero(generator.random(600) < sure)
        at = moments[kept].tolist()
        taught = busy.lessons(rows[kept], links[kept].tolist(), at)
        found.append(float(auc(busy.scores(taught, busy_[kept]), busy_[kept], at)))
    assert abs(np.mean(found) - 0.5) < 0.015


def test_holm() -> None:
    assert statistics.holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx(
        {"a": 0.03, "c": 0.06, "b": 0.06}
    )


def test_anonymity_sets() -> None:
    uniform = [0.25] * 4
    assert statistics.entropy(uniform) == 2
    assert statistics.set_size(uniform) == 4
    assert statistics.degree(uniform) == 1
    assert statistics.min_entropy(uniform) == 2
    known = [1.0, 0.0]
    assert statistics.set_size(known) == 1
    assert statistics.degree(known) == statistics.min_entropy(known) == 0
    assert statistics.degree([1.0]) == 0
    assert statistics.min_entropy([0.5, 0.25, 0.25]) == 1 < statistics.entropy([0.5, 0.25, 0.25])


def test_advantage() -> None:
    assert statistics.advantage(0.25, 0.25) == 0
    assert statistics.advantage(1.0, 0.25) == 1
    assert statistics.advantage(0.1, 0.25) < 0
