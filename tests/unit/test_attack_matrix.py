"""The matrix: what is expected, how a field is judged, and that every view says the same."""

from __future__ import annotations

import io
import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import TypeAdapter
from rich.console import Console

from testbed import cli
from testbed.attack.case import Case, holm
from testbed.attack.catalogue import ATTACKS
from testbed.attack.expected import STAGES, TABLE, Expected, Outcome, expected, judge
from testbed.attack.record import Matrix, to_json
from testbed.attack.score import Chain, Crossing, Score, Sets
from testbed.report import files, matrix_page, matrix_plot, matrix_terminal
from testbed.topology import Link

CERTAIN = Score(100, 1.0, 0.25, 0.964, 1.0, 0.0001, Sets(1.0, 0.0, 0.0))
BLIND = Score(100, 0.26, 0.25, 0.18, 0.36, 0.4, None, 0.2, planted=True)
HALF = Score(100, 0.5, 0.25, 0.4, 0.6, 0.0001)
QUIET = replace(BLIND, n=3000, value=0.5, chance=0.5, low=0.46, high=0.54, late=0.005)
MADE_OF = {
    Expected.WINS: CERTAIN, Expected.BETTER: HALF, Expected.LESS: HALF, Expected.CHANCE: BLIND,
    Expected.QUIET: QUIET,
    Expected.OPEN: HALF,
}  # fmt: skip
CHAINS = (Chain("alice@sender.test", "alpha", "bravo", right=True),)


def case(stage: str, pool: str, **other: Score | None) -> Case:
    """A case in which all is as expected, but for what is given."""
    scores: dict[str, Score | None] = {}
    for attack in ATTACKS:
        wanted = expected(attack.id, stage, pool=pool != "off")
        if wanted is not Expected.NOTHING:
            scores[attack.id] = MADE_OF[wanted]
    crossings = (Crossing(1.0, 1.1, right=True), Crossing(2.0, 2.5, right=False))
    paths = {"time": crossings, "combined": crossings[:1]}
    return Case(stage, pool, 7, 1.0, 240, 240, 90.0, scores | other, paths, "", CHAINS)


def matrix(*cases: Case) -> Matrix:
    when = datetime(2026, 11, 25, tzinfo=UTC)
    return Matrix(when, 900.0, 7, False, 5, cases, {"cores": "2"}, {"unlogged": "1"})


ALL = matrix(*(case(stage, pool) for stage in STAGES for pool in ("off", "exponential:2.0")))


def test_every_attack_and_every_link_stage_has_an_expectation() -> None:
    assert set(TABLE) == {attack.id for attack in ATTACKS}
    assert set(STAGES) == {*Link, "proxy"}
    assert all(set(row) == set(STAGES) for row in TABLE.values())


def test_the_argument_of_1993_is_what_is_expected() -> None:
    for stage, content in (("smtp", Expected.WINS), ("tls", Expected.CHANCE)):
        assert expected("content, forward", stage, pool=False) is Expected.CHANCE
        assert expected("content, reply", stage, pool=False) is content
        assert expected("combined", stage, pool=False) is Expected.WINS


@pytest.mark.parametrize(
    ("wanted", "score", "p", "outcome"),
    [
        (Expected.WINS, CERTAIN, 0.01, Outcome.AS_EXPECTED),
        (Expected.WINS, replace(CERTAIN, value=0.94, low=0.88), 0.01, Outcome.INCONCLUSIVE),
        (Expected.BETTER, HALF, 0.049, Outcome.AS_EXPECTED),
        (Expected.BETTER, HALF, 0.051, Outcome.INCONCLUSIVE),
        (Expected.LESS, HALF, 0.01, Outcome.AS_EXPECTED),
        (Expected.LESS, replace(HALF, high=0.95), 0.01, Outcome.INCONCLUSIVE),
        (Expected.LESS, CERTAIN, 0.01, Outcome.OTHERWISE),
        (Expected.CHANCE, BLIND, 1.0, Outcome.AS_EXPECTED),
        (Expected.CHANCE, BLIND, 0.01, Outcome.OTHERWISE),
        (Expected.CHANCE, replace(BLIND, planted=False), 1.0, Outcome.INCONCLUSIVE),
        (Expected.QUIET, QUIET, 1.0, Outcome.AS_EXPECTED),
        (Expected.QUIET, replace(QUIET, high=0.6), 1.0, Outcome.INCONCLUSIVE),
        (Expected.QUIET, replace(QUIET, high=0.6, n=999), 1.0, Outcome.AS_EXPECTED),
        (Expected.QUIET, replace(QUIET, high=0.6, n=999), 0.01, Outcome.OTHERWISE),
        (Expected.QUIET, replace(QUIET, n=999, planted=False), 1.0, Outcome.INCONCLUSIVE),
        (Expected.QUIET, replace(QUIET, planted=False), 1.0, Outcome.INCONCLUSIVE),
        (Expected.OPEN, HALF, 1.0, Outcome.OPEN),
        (Expected.WINS, None, 1.0, Outcome.INCONCLUSIVE),
        (Expected.CHANCE, None, 1.0, Outcome.INCONCLUSIVE),
        (Expected.NOTHING, None, 1.0, Outcome.NOT_APPLICABLE),
    ],
)  # fmt: skip
def test_a_field_is_judged_by_bounds(
    wanted: Expected, score: Score | None, p: float, outcome: Outcome
) -> None:
    said, why = judge(wanted, score, p)
    assert said is outcome
    assert bool(why) == (
        outcome is Outcome.INCONCLUSIVE
        or (wanted in {Expected.CHANCE, Expected.QUIET} and p < 0.05)
    )


@pytest.mark.parametrize("wanted", [Expected.CHANCE, Expected.QUIET])
def test_who_is_surely_worse_than_chance_knows_something(wanted: Expected) -> None:
    assert judge(wanted, QUIET, 1.0, 0.051)[0] is Outcome.AS_EXPECTED
    assert judge(wanted, QUIET, 1.0, 0.049)[0] is Outcome.OTHERWISE


def test_the_status_says_what_the_worst_field_says() -> None:
    assert ALL.status == 0
    unsure = case("tls", "off", combined=replace(CERTAIN, low=0.8))
    wrong = case("tls", "off", **{"content, reply": replace(BLIND, value=0.9, p=0.0001)})
    assert matrix(unsure).status == 2
    assert matrix(unsure, case("smtp", "off")).status == 2
    assert matrix(wrong).status == 1


def test_p_is_corrected_for_all_fields_of_a_stage_that_should_say_the_same() -> None:
    pools = ("off", "exponential:2.0")
    one, both = matrix(case("tls", "off")), matrix(*(case("tls", pool) for pool in pools))
    field = "combined", "tls", "off"
    assert holm(both.cases)[field] > holm(one.cases)[field]
    assert both.fields[field].p == holm(both.cases)[field]
    low = case("tls", "off", **{"content, reply": replace(BLIND, below=0.0001)})
    assert matrix(low).fields["content, reply", "tls", "off"].outcome is Outcome.OTHERWISE


def test_what_is_measured_at_other_stages_makes_no_leak_of_cells_less_sure() -> None:
    weak = replace(BLIND, p=0.003)
    cells = matrix(case("cells", "off", size=weak))
    assert cells.fields["size", "cells", "off"].outcome is Outcome.OTHERWISE
    more = matrix(case("cells", "off", size=weak), case("tls", "off"), case("smtp", "off"))
    assert more.fields["size", "cells", "off"].p == cells.fields["size", "cells", "off"].p


def test_a_capture_that_is_not_whole_leaves_every_field_open() -> None:
    broken = Case("tls", "off", 7, 1.0, 240, 240, 90.0, {}, {}, "3 packets dropped on br0")
    found = matrix(broken)
    assert found.status == 2
    fields = [field for field in found.fields.values() if field.expected is not Expected.NOTHING]
    assert {field.why for field in fields} == {"3 packets dropped on br0"}


def test_a_kept_case_is_read_back_as_it_was() -> None:
    adapter = TypeAdapter(Case)
    for one in ALL.cases:
        assert adapter.validate_json(adapter.dump_json(one)) == one


def test_the_json_has_score_n_chance_interval_and_what_was_expected() -> None:
    told = json.loads(to_json(ALL))
    assert len(told["fields"]) == len(ATTACKS) * len(ALL.cases)
    field = next(f for f in told["fields"] if (f["attack"], f["stage"]) == ("combined", "tls"))
    assert (field["n"], field["value"], field["chance"]) == (100, 1.0, 0.25)
    assert (field["low"], field["high"], field["expected"]) == (0.964, 1.0, "wins")
    assert field["outcome"] == "as expected"
    assert told["seed"] == 7


def test_the_heat_map_shows_every_field() -> None:
    root = ElementTree.fromstring(matrix_plot.heat(ALL))
    fields = list(root.iter("{http://www.w3.org/2000/svg}g"))
    assert len(fields) == len(ATTACKS) * len(ALL.cases)
    ElementTree.fromstring(matrix_plot.paths(ALL.cases[0].paths["time"], "time"))


def test_the_page_needs_nothing_but_itself(tmp_path: Path) -> None:
    text = matrix_page.html(ALL)
    assert "default-src 'none'" in text
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")
    for attack in ATTACKS:
        assert attack.source in text
    assert "alice@sender.test" in text
    assert {path.name for path in files.write_matrix(ALL, tmp_path)} == {
        "matrix.json",
        "matrix.html",
    }


def test_the_terminal_says_why_a_field_is_inconclusive(tmp_path: Path) -> None:
    shown = io.StringIO()
    unsure = case("tls", "off", combined=replace(CERTAIN, value=0.94, low=0.88))
    matrix_terminal.show(matrix(unsure), tmp_path, Console(file=shown, width=100))
    text = " ".join(shown.getvalue().split())
    assert "? combined, tls, pool off: .94 (.88 to 1.00, n 100, chance .25" in text
    assert "the attack misses what it must find (lower bound below .9)" in text
    assert "1 inconclusive" in text


def test_the_table_loses_no_sign(tmp_path: Path) -> None:
    shown = io.StringIO()
    matrix_terminal.show(ALL, tmp_path, Console(file=shown, width=84))
    lines = shown.getvalue().splitlines()
    assert max(map(len, lines)) <= 84
    assert "…" not in shown.getvalue()
    assert any(
        line.startswith(" content, sealed reply") and line.count("✓") == 10 for line in lines
    )


def test_make_matrix_calls_a_command_that_there_is() -> None:
    assert "matrix" in {command.callback.__name__ for command in cli.app.registered_commands}
