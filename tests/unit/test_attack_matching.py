"""Attacks that match mails: where each must win, and where it must be at chance."""

from __future__ import annotations

import random

import pytest
from attack_web import HOPS, LINKS, Simulated, pooled

from testbed.attack import expected, match
from testbed.attack.case import scored
from testbed.attack.catalogue import ATTACKS, BY_ID
from testbed.attack.expected import Expected, Outcome
from testbed.attack.observation import Entry, Observation, Transfer
from testbed.attack.score import Score


def got(attack: str, web: Simulated, wanted: Expected = Expected.OPEN) -> Score:
    found = scored(BY_ID[attack], [(web.seen, web.truth)], wanted, random.Random(2))
    assert found is not None
    return found


PLAIN = Simulated()
SEALED = Simulated(clear=False)
POOL = Simulated(clear=False, delay=pooled(2.0))
CELLS = Simulated(cells=True, delay=pooled(1.0))

WINS = [
    ("content, reply", PLAIN), ("block used again", PLAIN), ("size", PLAIN), ("size", SEALED),
    ("size", POOL), ("order", SEALED), ("time", SEALED), ("combined", PLAIN),
    ("combined", SEALED), ("combined", POOL), ("end to end", SEALED),
]  # fmt: skip
AT_CHANCE = [
    ("content, forward", PLAIN), ("content, forward", SEALED), ("content, reply", SEALED),
    ("content, reply", CELLS), ("block used again", SEALED), ("size", CELLS), ("order", CELLS),
    ("time", CELLS), ("combined", CELLS),
]  # fmt: skip


@pytest.mark.parametrize(("attack", "web"), WINS)
def test_it_wins_where_it_must(attack: str, web: Simulated) -> None:
    score = got(attack, web)
    assert score.value >= 0.85
    assert score.low <= score.value <= score.high
    assert score.p <= 0.001


@pytest.mark.parametrize(("attack", "web"), AT_CHANCE)
def test_it_is_at_chance_where_there_is_nothing_and_finds_what_is_planted_there(
    attack: str, web: Simulated
) -> None:
    score = got(attack, web, Expected.CHANCE)
    assert score.low <= score.chance <= score.high
    assert score.p > 0.01
    assert score.planted


LONG = Simulated(clear=False, delay=pooled(1.0), mails=20, rate=4.0)
"""Of 200 s: delays and sizes are learnt from a part of it."""


@pytest.mark.parametrize("attack", ["size", "time", "combined", "end to end"])
def test_what_was_learnt_early_is_as_good_to_the_end(
    attack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert LONG.end > match.LEARNT * 1.5
    early = got(attack, LONG).value
    monkeypatch.setattr(match, "LEARNT", 1e9)
    assert abs(early - got(attack, LONG).value) <= 0.03


def test_a_hop_that_stalls_stops_no_attack() -> None:
    """Cells are there at once, mail comes late; or the other way round."""
    came = [Entry("alpha", "a", Transfer(at, at, 3000)) for at in (0.0, 500.0, 501.0)]
    went = tuple(Transfer(at, at, 2000) for at in (0.5, 500.2, 501.3))
    for entries, candidates in ((came[1:], went), (came, went[1:]), (came[:1], went[1:])):
        links = {("alpha", name): candidates for name in ("bravo", "charlie")}
        seen = Observation(("alpha",), tuple(entries), links, span=(0.0, 600.0))
        rooms = match.at_hops(seen)
        assert [cost.shape for cost in match.times(rooms)] == [(len(entries), 2 * len(candidates))]
        assert len(match.sizes(rooms)) == 1


def test_a_pool_takes_time_and_order_away_and_leaves_size() -> None:
    for attack in ("time", "order"):
        assert got(attack, POOL).high < 0.9
        assert got(attack, SEALED).value - got(attack, POOL).value > 0.3
    assert got("size", POOL).value == pytest.approx(got("size", SEALED).value, abs=0.1)


def test_the_set_of_a_poisson_mix_is_e_times_rate_times_delay() -> None:
    """Serjantov and Danezis's measure, by the attacker's own probabilities, as theory has it."""
    web = Simulated(mails=20, kinds=("forward",), delay=pooled(2.0))
    sets = got("time", web).sets
    assert sets is not None
    assert sets.size == pytest.approx(2.718 * 2.0, rel=0.2)  # a mail a second into each hop


ELSE = {
    "end to end",
    "author",
    "author, padded",
    "author, all mails",
    "intersection",
    "disclosure",
}
"""What isn't asked for a hop."""


def test_an_answer_names_a_hop_that_there_is_a_link_to() -> None:
    for attack in ATTACKS:
        if attack.guess is None or attack.id in ELSE:
            continue
        for web in (PLAIN, CELLS):
            for question, answer in attack.guess(web.seen, random.Random(1)).items():
                if isinstance(question, int):
                    assert (web.entries[question].hop, answer) in LINKS
                else:
                    assert answer in HOPS


def test_the_same_random_source_gives_the_same_answers() -> None:
    for attack in ATTACKS:
        if attack.guess is not None:
            first, second = (attack.guess(SEALED.seen, random.Random(5)) for _ in range(2))
            assert first == second


def test_an_attack_survives_an_empty_web() -> None:
    web = Simulated()
    nothing = type(web.seen)(HOPS, (), dict.fromkeys(LINKS, ()))
    nowhere = type(web.seen)(HOPS, web.seen.entries, dict.fromkeys(LINKS, ()))
    for attack in ATTACKS:
        if attack.guess is not None:
            assert dict(attack.guess(nothing, random.Random(1))) == {}
            attack.guess(nowhere, random.Random(1))


def test_a_field_is_inconclusive_where_the_plant_is_missed() -> None:
    score = got("content, forward", SEALED, Expected.CHANCE)
    missed = Score(score.n, score.value, score.chance, score.low, score.high, score.p, None, 0.1,
                   planted=False)  # fmt: skip
    assert expected.judge(Expected.CHANCE, score, 0.5)[0] is Outcome.AS_EXPECTED
    assert expected.judge(Expected.CHANCE, missed, 0.5)[0] is Outcome.INCONCLUSIVE
    assert expected.judge(Expected.CHANCE, score, 0.01)[0] is Outcome.OTHERWISE
