"""A node's ticks: even ones pass, each kind of odd one is told, and a busy machine is no node."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.topology import Link, Topology
from testbed.verdict import Control, Finding, Status
from testbed.wire import ticks
from testbed.wire.cells import Flow

RATE, TICKS = 2.0, 85
WHOLE = Control("the capture is complete", found=True)
GAP = 0.00005
"""Seconds between two cells of a tick."""

Cells = list[tuple[float, str]]
Alter = Callable[[Cells, random.Random], Cells]


def web(nodes: int = 4) -> Topology:
    return Topology(nodes=nodes, link=Link.CELLS, cells=int(RATE))


def flows(topology: Topology, alter: dict[str, Alter] | None = None, every: int = 6) -> ticks.Flows:
    """What the wire shows of a web; `alter`: what becomes of each `every`-th tick of a node."""
    sent: dict[tuple[str, str], list[float]] = {}
    rng = random.Random(3)
    for number, node in enumerate(topology.remailers):
        peers = [peer.host for peer in topology.remailers if peer != node]
        for place in range(TICKS):
            begin = 1000 + number / 7 + place / RATE + rng.random() / 100
            cells = [(begin + GAP * turn, to) for turn, to in enumerate(peers)]
            if alter and node.name in alter and place % every == every - 1:
                cells = alter[node.name](cells, rng)
            for at, to in cells:
                sent.setdefault((node.host, to), []).append(at)
    return {ends: [Flow(tuple(at), at[-1], ())] for ends, at in sent.items()}


def look(topology: Topology, seen: ticks.Flows) -> dict[str, Finding]:
    return {row.subject: row for row in ticks.findings(seen, topology, WHOLE)}


def left_out(cells: Cells, rng: random.Random) -> Cells:
    gone = rng.choice(cells)
    return [cell for cell in cells if cell != gone]


def twice(cells: Cells, rng: random.Random) -> Cells:
    return [*cells, (cells[-1][0] + GAP, rng.choice(cells)[1])]


def exchanged(cells: Cells, rng: random.Random) -> Cells:
    return [(at, to) for (at, _), (_, to) in zip(cells, reversed(cells), strict=True)]


def late(cells: Cells, rng: random.Random) -> Cells:
    place = rng.randrange(1, len(cells))
    return [(at + 0.02 * (n >= place), to) for n, (at, to) in enumerate(cells)]


def whole_tick_late(cells: Cells, rng: random.Random) -> Cells:
    return [(at + 0.3, to) for at, to in cells]


@pytest.mark.parametrize("nodes", [2, 3, 5])
def test_even_ticks_pass(nodes: int) -> None:
    rows = look(web(nodes), flows(web(nodes)))
    assert {row.status for row in rows.values()} == {Status.PASS}
    assert len(rows) == nodes


@pytest.mark.parametrize(
    ("alter", "kind"),
    [(left_out, "left out"), (twice, "twice"), (exchanged, "out of turn"), (late, "late")],
)
def test_a_node_with_odd_ticks_is_accused_and_no_other(alter: Alter, kind: str) -> None:
    rows = look(web(), flows(web(), {"bravo": alter}))
    assert {name for name, row in rows.items() if row.status is Status.FAIL} == {"bravo"}
    assert {row.status for name, row in rows.items() if name != "bravo"} == {Status.PASS}
    evidence = rows["bravo"].evidence
    assert f"{kind} in 14 of {TICKS - 1} ticks" in evidence[0].what
    assert evidence[0].where == "2.0 s after its first tick"


def test_an_odd_tick_now_and_then_is_the_machines() -> None:
    rows = look(web(), flows(web(), {"bravo": left_out}, every=30))
    assert {row.status for row in rows.values()} == {Status.PASS}


def test_where_all_nodes_are_late_alike_nobody_is_accused_and_nothing_known() -> None:
    everybody = {node.name: late for node in web().remailers}
    rows = look(web(), flows(web(), everybody, every=7))
    assert {row.status for row in rows.values()} == {Status.INCONCLUSIVE}


def test_a_whole_tick_that_is_late_parts_nothing() -> None:
    rows = look(web(), flows(web(), {"bravo": whole_tick_late}))
    assert rows["bravo"].status is Status.PASS


def test_links_that_come_up_one_after_the_other_are_no_odd_ticks() -> None:
    seen = {
        ends: [Flow(own[0].times[5 * number :], own[0].end, ())]
        for number, (ends, own) in enumerate(flows(web()).items())
    }
    assert {row.status for row in look(web(), seen).values()} == {Status.PASS}


SOME = st.lists(st.floats(1000, 1030, allow_nan=False), max_size=12).map(sorted)


@given(st.lists(SOME, min_size=6, max_size=6))
def test_whatever_was_seen_each_node_gets_a_row(times: list[list[float]]) -> None:
    topology = web(3)
    ends = [(a.host, b.host) for a, b in topology.links]
    seen = {
        pair: [Flow(tuple(own), own[-1], ())] if own else []
        for pair, own in zip(ends, times, strict=True)
    }
    assert set(look(topology, seen)) == {node.name for node in topology.remailers}


def test_without_cells_nothing_is_known() -> None:
    rows = look(web(), {})
    assert {row.status for row in rows.values()} == {Status.INCONCLUSIVE}
