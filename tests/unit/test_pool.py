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


@pytest.mark.parametrize(
    "text", ["", "on", "exponential", "exponential:0", "exponential:-1", "exponential:1e3", "Off"]
)
def test_anything_else_is_told(text: str) -> None:
    with pytest.raises(SetupError, match="--pool"):
        parse(text)
