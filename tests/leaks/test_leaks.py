"""Each planted leak is caught: by the claim that is there for it, at its node, as its kind.

`make leaks` runs all of them and 20 clean runs; here it is so many that each claim catches one, but
for those that are seen to fail anyway (`TRIED=all` for all but the blind ones). Clean webs are in
tests/web/test_verify.py; `CLEAN=n` is for more of them. Nothing is demanded of the blind ones, nor
of what is measured in hundredths of seconds: webs of six nodes are too much for two cores for that.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from docker import DockerClient

from testbed.claims import CLAIMS
from testbed.leaks import run, score
from testbed.leaks.plant import Plant, catalogue
from testbed.report.progress import Phase, Progress

PLANTS = catalogue()
OWN = [plant for plant in PLANTS if not plant.blind]
TIMED = frozenset({"delays"})
ON_STAGES = frozenset(
    {"log-hops", "link-encrypted", "link-canary", "link-ephemeral", "link-pinned", "link-refuses"}
)
"""Claims that `port25` or `smtp` fails by what its nodes do: tests/web/test_verify*.py."""
PUT = frozenset({"silent-tmpfs", "silent-volume"})
"""Claims that fail by what is put into a node: tests/web/test_witnesses.py."""


def few(plants: Sequence[Plant], claims: frozenset[str]) -> list[Plant]:
    """So many that each of these claims has to catch one: first those that most have to."""
    chosen: list[Plant] = []
    while caught := max((by(plant) & claims for plant in plants), key=len, default=frozenset()):
        chosen += [plant for plant in plants if by(plant) & claims == caught][:1]
        claims -= caught
    return chosen


def by(plant: Plant) -> frozenset[str]:
    """The claims that must catch it."""
    return frozenset() if plant.missed else plant.also | {plant.claim}


HERE = frozenset(plant.claim for plant in OWN) - TIMED - ON_STAGES - PUT
TRIED = OWN if os.environ.get("TRIED") == "all" else few(OWN, HERE)
WEBS = score.webs(TRIED, run.MOST)
CLEAN = int(os.environ.get("CLEAN") or 0)


@pytest.fixture
def bench(docker_client: DockerClient, images: dict[str, str], out: Path) -> run.Bench:
    return run.Bench(docker_client, images, f"pytest-{run.names()}", out)


@pytest.mark.web
@pytest.mark.alone
@pytest.mark.parametrize("plants", WEBS, ids=lambda plants: "+".join(p.name for p in plants))
def test_each_plant_is_caught_at_its_node_and_nobody_else_is_accused(
    plants: Sequence[Plant], bench: run.Bench
) -> None:
    planted = run.plant_all(bench, "web", plants, seed=1, phase=Phase("leaks"))
    assert [result for result in planted.results if not result.well] == []
    assert planted.alarms == ()
    assert untimed(planted.open) == []


@pytest.mark.web
@pytest.mark.alone
@pytest.mark.skipif(not CLEAN, reason="a clean web is verified in tests/web: CLEAN=n for more")
def test_webs_without_a_plant_are_accused_of_nothing(bench: run.Bench) -> None:
    runs = list(run.clean_runs(bench, CLEAN, random.Random(1), Progress()))
    assert len(runs) == CLEAN
    assert [alarm for one in runs for alarm in one.alarms] == []
    assert [row for one in runs for row in untimed(one.open)] == []


def untimed(rows: Sequence[str]) -> list[str]:
    """Rows that were left open, but for those that say of themselves that the machine is slow."""
    return [row for row in rows if row.partition(": ")[2].split()[0] not in TIMED]


def test_each_claim_that_is_tried_here_has_a_plant_to_catch() -> None:
    assert {claim for plant in TRIED for claim in by(plant)} >= HERE


def test_the_catalogue_and_the_table_of_claims_name_the_same_plants() -> None:
    listed = {(c.id, plant) for c in CLAIMS for plant in c.plants}
    by_claim = {(claim, plant.title) for plant in OWN for claim in (plant.claim, *plant.also)}
    assert by_claim - listed == set()
    assert {plant for _, plant in listed} == {plant.title for plant in OWN}


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.name)
def test_each_plant_says_what_somebody_did(plant: Plant) -> None:
    assert plant.description
