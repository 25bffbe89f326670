"""remailer.client.pick: chains are drawn uniformly from those that the rules allow, or refused."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise, permutations, product

import pytest
from remailers import NAMES, directory

from remailer.client import pick
from remailer.directory import Directory
from remailer.errors import ChainError

DRAWS = 6000


def of(count: int) -> Directory:
    return Directory(remailers=directory().remailers[:count])


def neighbours_differ(chain: tuple[str, ...]) -> bool:
    return all(one != other for one, other in pairwise(chain))


@pytest.mark.parametrize(
    ("known", "wanted", "avoid", "recipient", "allowed"),
    [
        (5, "*,*,*", (), "x@y.test", permutations(NAMES, 3)),
        (5, "*,*", ("echo",), "x@y.test", permutations(NAMES[:4], 2)),
        (5, "alpha,*,*", (), "x@y.test", (("alpha", *p) for p in permutations(NAMES[1:], 2))),
        (5, "*,*", (), "x@bravo.remailer.test", (p for p in permutations(NAMES, 2)
                                                 if p[-1] != "bravo")),
        (5, "*,alpha,*", ("bravo",), "x@y.test",
         ((a, "alpha", b) for a, b in permutations(NAMES[2:], 2))),
        # Too few for each once: none after itself is what is left of the rule.
        (3, "*,*,*,*", (), "x@y.test", filter(neighbours_differ, product(NAMES[:3], repeat=4))),
        (3, "*,alpha,*", ("bravo",), "x@y.test", [("charlie", "alpha", "charlie")]),
        (2, "*,*,*", (), "x@bravo.remailer.test", [("alpha", "bravo", "alpha")]),
    ],
)  # fmt: skip
def test_all_allowed_chains_are_equally_likely(
    known: int, wanted: str, avoid: tuple[str, ...], recipient: str, allowed: object
) -> None:
    expected = set(map(tuple, allowed))  # type: ignore[call-overload]
    rng = random.Random(1)
    drawn = Counter(
        tuple(pick.draw(of(known), wanted.split(","), rng, avoid=avoid, recipients=[recipient]))
        for _ in range(DRAWS)
    )
    assert set(drawn) == expected
    # Chi-square against uniform; 5 standard deviations of it above its mean (degrees of freedom).
    each, free = DRAWS / len(expected), len(expected) - 1
    assert sum((n - each) ** 2 / each for n in drawn.values()) <= free + 5 * (2 * free) ** 0.5


def test_the_test_would_see_a_bias() -> None:
    """Place by place without looking ahead isn't uniform, and the statistic says so."""
    rng, drawn = random.Random(1), Counter[tuple[str, ...]]()
    for _ in range(DRAWS):
        chain: list[str] = []
        while len(chain) < 3:
            left = [n for n in NAMES if n not in chain and (len(chain) < 2 or n != "bravo")]
            chain.append(rng.choice(left))
        drawn[tuple(chain)] += 1
    each, free = DRAWS / len(drawn), len(drawn) - 1
    assert sum((n - each) ** 2 / each for n in drawn.values()) > free + 5 * (2 * free) ** 0.5


def test_a_chain_without_a_star_stays() -> None:
    wanted = ["alpha", "bravo", "alpha"]
    assert pick.draw(of(2), wanted, random.Random(1)) == wanted


@pytest.mark.parametrize(
    ("known", "wanted", "avoid", "line"),
    [
        (1, "*,*", [], "chain *,*: can't be drawn from 1 remailers"),
        (2, "*", ["alpha", "bravo"], "chain *: can't be drawn from 0 remailers"),
        (2, "alpha,*", ["alpha"], "chain: alpha is to be avoided, and named"),
        (2, "*", ["zulu"], "--avoid: no remailer 'zulu' in the directory"),
    ],
)
def test_what_cant_be_drawn_is_one_line(
    known: int, wanted: str, avoid: list[str], line: str
) -> None:
    with pytest.raises(ChainError) as error:
        pick.draw(of(known), wanted.split(","), random.Random(1), avoid=avoid)
    assert str(error.value).startswith(line)
