"""Plants in nodes: who has to find which, what counts as found, and what a miss does to a field."""

from __future__ import annotations

import io
import json
import random
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from attack_web import Simulated
from pydantic import TypeAdapter
from rich.console import Console
from test_attack_matrix import BLIND, CERTAIN, case

from testbed.attack import run
from testbed.attack.case import scored
from testbed.attack.catalogue import BY_ID
from testbed.attack.expected import Expected, Outcome, expected
from testbed.attack.observation import Observation, Transfer
from testbed.attack.physical import ASKED, PHYSICAL, SENT, Physical, Tried, searches
from testbed.attack.record import Matrix, to_json
from testbed.attack.score import Score
from testbed.attack.statistics import power
from testbed.leaks.plant import described
from testbed.report import files, matrix_page, matrix_terminal
from testbed.report.matrix_words import headline
from testbed.topology import Link, Topology

FIFO = next(plant for plant in PHYSICAL if plant.beyond)


def tried(plant: Physical, score: Score | None, trouble: str = "") -> Tried:
    scores = {attack.id: BLIND for attack in ASKED} | dict.fromkeys(plant.attacks, score)
    stage = str(plant.link)
    return Tried(plant.name, stage, plant.pool, 7, 1200, 1200, 200.0, scores, trouble)


def matrix(*plants: Tried) -> Matrix:
    when = datetime(2026, 11, 26, tzinfo=UTC)
    cases = (case("cells", "off"), case("cells", run.ON), case("tls", run.ON))
    return Matrix(when, 900.0, 7, True, 5, cases, {}, {}, "0123abc", plants)


ALL = matrix(*(tried(plant, CERTAIN) for plant in PHYSICAL))


@pytest.mark.parametrize("plant", PHYSICAL, ids=lambda plant: plant.name)
def test_a_plant_is_a_module_and_its_attacks_are_such_as_may_say_that_there_is_nothing(
    plant: Physical,
) -> None:
    assert described(plant.name)
    assert {*plant.attacks} <= {attack.id for attack in ASKED}
    for attack in plant.attacks:
        wanted = expected(attack, str(plant.link), pool=plant.pool != "off")
        assert wanted is not Expected.NOTHING


def test_so_much_mail_shows_one_in_twenty() -> None:
    n = SENT.mails * len(Topology(nodes=5).links)
    assert power(n, 0.25, 0.05) >= 0.89


@pytest.mark.parametrize(
    ("plant", "score", "found"),
    [
        (PHYSICAL[0], CERTAIN, True),
        (PHYSICAL[0], BLIND, False),
        (PHYSICAL[0], None, False),
        (FIFO, CERTAIN, True),
        (FIFO, replace(CERTAIN, low=FIFO.beyond - 0.1), False),
    ],
)
def test_found_is_better_than_chance_and_than_a_stock_web(
    plant: Physical, score: Score | None, found: bool
) -> None:
    (one,) = searches([tried(plant, score)])
    assert one.found is found


def test_each_attack_that_has_to_find_a_plant_must() -> None:
    plant = next(plant for plant in PHYSICAL if len(plant.attacks) > 1)
    one = tried(plant, CERTAIN)
    missed = replace(one, scores=one.scores | {plant.attacks[-1]: BLIND})
    assert [one.found for one in searches([missed])] == [True] * (len(plant.attacks) - 1) + [False]
    assert "0 of 1 plants" in headline(matrix(missed))


def test_p_is_corrected_for_all_plants_together() -> None:
    weak = replace(CERTAIN, p=0.03)
    assert all(not one.found for one in searches(tried(plant, weak) for plant in PHYSICAL))
    assert searches([tried(PHYSICAL[0], weak)])[0].found


def test_an_attack_that_misses_its_plant_may_not_say_at_chance() -> None:
    fields = matrix(tried(PHYSICAL[0], BLIND)).fields
    for pool in ("off", run.ON):
        field = fields[PHYSICAL[0].attacks[0], "cells", pool]
        assert field.outcome is Outcome.INCONCLUSIVE
        assert PHYSICAL[0].title in field.why
    # Other attacks, and other stages, have nothing to do with it.
    assert fields["size", "cells", "off"].outcome is Outcome.AS_EXPECTED
    assert fields[PHYSICAL[0].attacks[0], "tls", run.ON].outcome is Outcome.AS_EXPECTED
    assert matrix(tried(FIFO, BLIND)).fields["order", "tls", run.ON].why
    assert matrix(tried(PHYSICAL[0], BLIND)).status == 2


def test_where_all_plants_are_found_nothing_changes() -> None:
    assert ALL.status == 0
    assert {one.plant for one in ALL.searches} == {*PHYSICAL}
    assert all(one.found for one in ALL.searches)


def test_what_was_tried_is_read_back_as_it_was() -> None:
    adapter = TypeAdapter(Tried)
    for one in ALL.plants:
        assert adapter.validate_json(adapter.dump_json(one)) == one


def test_every_view_has_the_plants(tmp_path: Path) -> None:
    missed = matrix(tried(PHYSICAL[0], BLIND), tried(PHYSICAL[3], None, "3 packets dropped"))
    told = json.loads(to_json(missed))
    assert told["commit"] == "0123abc"
    assert [one["found"] for one in told["plants"]] == [False, False]
    assert told["plants"][0]["scores"]["combined"]["n"] == BLIND.n
    page = matrix_page.html(missed)
    assert described(PHYSICAL[0].name) in page
    assert "3 packets dropped" in page
    shown = io.StringIO()
    matrix_terminal.show(missed, tmp_path, Console(file=shown, width=100))
    text = " ".join(shown.getvalue().split())
    assert "? mail-past-pacer-5 (cells, pool off): NOT found by combined: .26" in text
    assert "0 of 2 plants in nodes are found" in text


def test_results_of_a_full_run_are_kept_under_their_seed(tmp_path: Path) -> None:
    (path,) = files.keep_matrix(ALL, tmp_path / "results", "matrix-7-5-full")
    assert path.name == "matrix-7-5-full.json"
    assert json.loads(path.read_text())["seed"] == 7


def test_users_with_proxies_are_left_out_where_there_would_be_too_many() -> None:
    jobs = run._jobs("web", run.Plan(stages=(Link.CELLS,), nodes=7))
    assert [job.topology.proxies for job in jobs] == [False, False]


def test_a_quick_run_has_users_with_proxies_once() -> None:
    jobs = run._jobs("web", run.Plan(stages=(Link.CELLS,)))
    assert [(j.topology.proxies, j.topology.pool) for j in jobs] == [
        (False, run.OFF), (False, run.ON), (True, run.OFF),
    ]  # fmt: skip


def test_a_plan_with_plants_has_a_web_more_for_each() -> None:
    jobs = run._jobs("web", run.Plan(stages=(Link.CELLS,), full=True, plants=PHYSICAL))
    assert len(jobs) == 4 + len(PHYSICAL)
    assert [job.topology.proxies for job in jobs[:4]] == [False, False, True, True]
    assert len({job.file for job in jobs}) == len(jobs)
    own = jobs[4]
    assert set(own.topology.leaks.values()) == {PHYSICAL[0].name}
    assert len(own.topology.leaks) == own.topology.nodes


# -- the attacks, on cells with such a plant, simulated -------------------------------------------


def past_pacer(web: Simulated, share: float) -> Observation:
    """Some mails go at once, with their size, beside the cells."""
    rng = random.Random(1)
    links = {link: list(own) for link, own in web.seen.links.items()}
    for entry, letter in zip(web.entries, web.letters, strict=True):
        if rng.random() < share:
            at = entry.mail.end + rng.uniform(0.04, 0.08)
            size = round(len(entry.mail.data) * 48 / 66) + 60
            links[letter.path].append(Transfer(at, at, size))
    ordered = {link: tuple(sorted(own, key=lambda t: t.start)) for link, own in links.items()}
    return replace(web.seen, links=ordered)


@pytest.mark.parametrize(("share", "found"), [(0.25, True), (0.0, False)])
def test_mail_past_the_pacer_is_found_by_the_same_attack(share: float, found: bool) -> None:
    web = Simulated(mails=6, kinds=("forward",), cells=True, rate=10.0)
    view = [(past_pacer(web, share), web.truth)]
    got = scored(BY_ID["combined"], view, Expected.OPEN, random.Random(1))
    assert got is not None
    assert got.planted is None
    assert (got.p < 0.01) is found
