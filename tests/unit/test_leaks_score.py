"""The score of planted leaks: what counts as caught, whom nobody may accuse, and what it proves."""

from __future__ import annotations

import io
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from testbed.claims import BY_ID
from testbed.leaks import score
from testbed.leaks.plant import Plant, catalogue
from testbed.leaks.score import Clean, Outcome, Planted, Score
from testbed.report import leaks_page, leaks_terminal
from testbed.topology import Link
from testbed.verdict import Control, Evidence, Finding, Status

FOUND = (Control("a file of ours", found=True),)
PLANT = Plant("volume_file", "careless", "silent-volume", "volume", r"mail\.log")


def fails(claim: str, kind: str, what: str, subject: str = "alpha") -> Finding:
    return Finding(
        claim, subject, Status.FAIL, "all", FOUND, (Evidence("/var/spool", what),), kind=kind
    )


RIGHT = fails("silent-volume", "volume", "mail.log")


@pytest.mark.parametrize(
    ("findings", "outcome"),
    [
        ([RIGHT], Outcome.CAUGHT),
        ([RIGHT, fails("silent-writes", "written", "mail.log")], Outcome.CAUGHT),
        ([fails("silent-volume", "root", "mail.log")], Outcome.ELSEWHERE),
        ([fails("silent-volume", "volume", "something else")], Outcome.ELSEWHERE),
        ([fails("silent-writes", "written", "mail.log")], Outcome.ELSEWHERE),
        ([Finding("silent-volume", "alpha", Status.PASS, "all", FOUND)], Outcome.MISSED),
        ([Finding("silent-volume", "alpha", Status.INCONCLUSIVE, "all")], Outcome.OPEN),
        ([], Outcome.MISSED),
    ],
)
def test_a_plant_is_caught_by_its_claim_as_its_kind_and_shown(
    findings: list[Finding], outcome: Outcome
) -> None:
    assert score.result(PLANT, "alpha", findings).outcome is outcome


def test_what_must_be_seen_by_two_claims_is_not_caught_by_one() -> None:
    both = Plant(
        "x", "careless", "silent-volume", "volume", "mail", also=frozenset({"spool-sealed"})
    )
    assert score.result(both, "alpha", [RIGHT]).outcome is Outcome.ELSEWHERE
    assert "not by spool-sealed" in score.result(both, "alpha", [RIGHT]).evidence
    sealed = fails("spool-sealed", "spool", "mail.log")
    assert score.result(both, "alpha", [RIGHT, sealed]).outcome is Outcome.CAUGHT


def test_a_plant_that_may_be_missed_is_counted_as_such() -> None:
    slow = Plant("x", "malicious", "delays", "symbols", "", missed="1 bit a day")
    result = score.result(slow, "alpha", [])
    assert result.outcome is Outcome.ALLOWED
    assert result.well


def test_of_a_blind_plant_it_is_enough_that_its_node_is_accused() -> None:
    blind = Plant("blind.x", "technical", "silent-calls", "", "", blind=True)
    elsewhere = score.result(blind, "alpha", [RIGHT])
    assert elsewhere.outcome is Outcome.ELSEWHERE
    assert elsewhere.well
    calls = fails("silent-calls", "name", "mkdir")
    assert score.result(blind, "alpha", [calls]).outcome is Outcome.CAUGHT
    assert not score.result(blind, "alpha", []).well


def test_a_claim_that_looks_at_something_else_may_not_accuse_the_node() -> None:
    may = score.explained(PLANT)
    assert {"silent-volume", "silent-writes", "no-growth"} <= may
    strange = fails("headers", "date", "noon")
    assert [a.claim for a in score.alarms("x", [RIGHT, strange], but=may)] == ["headers"]
    assert len(score.alarms("x", [RIGHT, strange])) == 2


def test_all_kin_are_claims() -> None:
    assert {claim for claims in score.KIN for claim in claims} <= BY_ID.keys()


@pytest.mark.parametrize("of", [1, 5, 20, 60])
def test_no_alarm_in_n_runs_proves_the_exact_bound(of: int) -> None:
    assert math.isclose(score.upper_bound(0, of), 1 - 0.05 ** (1 / of), rel_tol=1e-9)


@pytest.mark.parametrize(("count", "of", "bound"), [(1, 20, 0.2161), (2, 20, 0.2826), (20, 20, 1)])
def test_the_bound_is_clopper_and_pearsons(count: int, of: int, bound: float) -> None:
    # The published one-sided 95 % limits.
    assert math.isclose(score.upper_bound(count, of), bound, abs_tol=1e-4)


def test_without_a_run_nothing_is_proved() -> None:
    assert score.upper_bound(0, 0) == 1


KINDS = st.tuples(st.booleans(), st.sampled_from([Link.TLS, Link.CELLS]), st.booleans())


@given(st.lists(KINDS, max_size=60), st.integers(1, 9))
def test_webs_have_every_plant_once_and_what_takes_another_web_apart(
    kinds: list[tuple[bool, Link, bool]], most: int
) -> None:
    plants = [
        Plant(
            str(n), "careless", "headers", "", "", hosted=hosted, link=link, everywhere=everywhere
        )
        for n, (hosted, link, everywhere) in enumerate(kinds)
    ]
    webs = score.webs(plants, most)
    assert sorted(p.name for web in webs for p in web) == sorted(p.name for p in plants)
    assert all(1 <= len(web) <= most for web in webs)
    assert all(len({(p.hosted, p.link) for p in web}) == 1 for web in webs)
    assert all(len(web) == 1 or not any(p.everywhere for p in web) for web in webs)


def whole(*findings: Finding, alarm: bool = False, open_: tuple[str, ...] = ()) -> Score:
    alarms = score.alarms("seed 7", [fails("headers", "date", "noon")]) if alarm else ()
    planted = Planted(
        "web-1", 40.0, (score.result(PLANT, "alpha", findings),), (), open_, rows_clean=29
    )
    clean = tuple(Clean(f"seed {n}", (), ()) for n in range(19))
    return Score((planted,), (*clean, Clean("seed 7", alarms, ())), 1, 60.0)


@pytest.mark.parametrize(
    ("one", "status"),
    [
        (whole(RIGHT), 0),
        (whole(), 1),
        (whole(RIGHT, alarm=True), 1),
        (whole(RIGHT, open_=("no-growth at bravo: busy",)), 2),
        (whole(open_=("no-growth at bravo: busy",)), 1),
        (whole(Finding("silent-volume", "alpha", Status.INCONCLUSIVE, "all")), 2),
    ],
)
def test_the_status_and_all_views_say_the_same(one: Score, status: int, tmp_path: object) -> None:
    assert one.status == status
    told = json.loads(score.to_json(one))
    assert told["status"] == status
    assert told["false_alarms"]["with_a_false_alarm"] == one.alarmed
    console = Console(file=io.StringIO(), width=160)
    leaks_terminal.show(one, tmp_path, console)  # type: ignore[arg-type]
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert f"{one.alarmed} of 20" in text
    assert ("FALSE ALARM" in text) is bool(one.alarms)
    first = one.results[0]
    assert (f"volume_file at alpha: {first.outcome}" in text) is not first.well


def test_the_catalogue_has_forty_plants_and_more_of_each_grade() -> None:
    plants = catalogue()
    assert len({plant.name for plant in plants}) == len(plants) >= 40
    for plant in plants:
        assert plant.claim in BY_ID, plant.name
        assert (plant.also | plant.perhaps | plant.passed_on) <= BY_ID.keys(), plant.name
        assert 20 < len(plant.description) < 160, plant.name


def test_docs_have_the_catalogue() -> None:
    page = (leaks_page.PAGE).read_text(encoding="utf-8")
    assert page == leaks_page.markdown(catalogue()), (
        "run: python -m testbed.report.leaks_page > docs/leaks.md"
    )
