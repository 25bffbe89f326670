"""The pool's delays."""

from __future__ import annotations

import random

import pytest

from remailer.errors import SetupError
from remailer.pool import parse


def test_off_is_no_delay() -> None:
    assert parse("off").delay(random.Random(1)) == 0.0


def test_exponential_has_its_mean_and_forgets() -> None:
    pool, rng = parse("exponential:2.5"), random.Random(1)
    delays = [pool.delay(rng) for _ in range(20_000)]
    waited = [delay - 2 for delay in delays if delay > 2]
    assert sum(delays) / len(delays) == pytest.approx(2.5, rel=0.03)
    assert sum(waited) / len(waited) == pytest.approx(2.5, rel=0.05)


def test_a_batch_is_drawn_and_leaves_the_least_behind() -> None:
    timed, rng = parse("timed:900").timed, random.Random(1)
    assert timed
    assert timed.batch(range(45), rng) == []
    assert len(timed.batch(range(60), rng)) == 15
    assert len(timed.batch(range(1000), rng)) == 650
    first = [timed.batch(range(200), rng)[0] for _ in range(2000)]
    assert sum(first) / len(first) == pytest.approx(99.5, rel=0.05)


def test_a_pool_that_keeps_none_empties_itself() -> None:
    timed, rng = parse("timed:2,0,65").timed, random.Random(1)
    assert timed
    waiting, batches = list(range(20)), 0
    while waiting:
        waiting = sorted(set(waiting) - set(timed.batch(waiting, rng)))
        batches += 1
    assert batches == 3


@pytest.mark.parametrize(
    "text",
    [
        *("timed", "timed:0", "timed:5,1", "timed:5,1,0", "timed:5,1,101", "exponential:1,0,65"),
        "",
        "on",
        "exponential",
        "exponential:0",
        "exponential:-1",
        "exponential:1e3",
        "Off",
    ],
)
def test_anything_else_is_told(text: str) -> None:
    with pytest.raises(SetupError, match="--pool"):
        parse(text)
