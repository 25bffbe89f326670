"""A run's two loads: the second is larger, spread evenly, and each node handles mail enough."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from testbed.errors import WebError
from testbed.topology import Topology
from testbed.traffic import Plan
from testbed.verify import patience
from testbed.wire.canary import Canaries

ENOUGH = 25
"""Mails of a node: leaks that begin only after the twentieth must show."""


def plan(nodes: int = 5, seed: int = 1) -> Plan:
    rng = random.Random(seed)
    return Plan(Topology(nodes=nodes), Canaries.new(rng), rng)


@pytest.mark.parametrize("nodes", [2, 3, 5, 8])
def test_every_node_handles_mail_enough_and_the_second_load_is_the_larger_one(nodes: int) -> None:
    one = plan(nodes)
    first, second = one.first(), one.second()
    handled = Counter(name for letter in (*first, *second) for name in letter.path)
    assert all(handled[name] > ENOUGH for name in one.names), handled
    assert len(second) > len(first) or nodes > 5  # with many nodes the first has every link


@pytest.mark.parametrize("nodes", [2, 3, 4, 5, 6, 8])
def test_no_chain_of_the_first_load_has_a_node_twice(nodes: int) -> None:
    """Transfers are counted by how many chains a node is in."""
    for letter in plan(nodes).first():
        assert len(set(letter.path)) == len(letter.path)


def test_the_second_load_is_spread_evenly_over_the_nodes() -> None:
    handled = Counter(name for letter in plan().second() for name in letter.path)
    assert len(set(handled.values())) == 1


def test_no_letter_visits_a_node_twice_in_a_row_and_all_have_numbers_of_their_own() -> None:
    one = plan()
    letters = one.first() + one.second()
    assert sorted(letter.number for letter in letters) == list(range(len(letters)))
    assert all(
        a != b for letter in letters for a, b in zip(letter.path, letter.path[1:], strict=False)
    )


@pytest.mark.parametrize("nodes", [4, 5, 8])
def test_there_are_chains_of_one_to_four_and_the_longest_begin_first(nodes: int) -> None:
    one = plan(nodes)
    for load in (one.first(), one.second()):
        hops = [len(letter.path) for letter in load]
        assert hops == sorted(hops, reverse=True)
    assert {len(letter.path) for letter in one.letters} == {0, 1, 2, 3, 4}
    # One takes several cells on a link.
    assert max(len(x.body) for x in one.letters if len(x.path) > 1) > 3 * 16_000


def test_a_load_has_the_time_that_its_pool_takes_and_none_ends_in_one() -> None:
    off = patience("off")
    assert patience("exponential:10") == off + 200
    assert patience("timed:2,0,50") == off + 80
    with pytest.raises(WebError, match="take timed:900,0,65"):
        patience("timed:900,45,65")
