"""Late cells, on simulated ticks: found where mail makes a cell late, and nothing else is."""

from __future__ import annotations

import random

import pytest
from attack_ticks import PERIOD, WEB, ticked, with_mail
from attack_web import HOPS, LINKS, Simulated

from testbed.attack import plant, rhythm, score
from testbed.attack.case import scored
from testbed.attack.catalogue import BY_ID
from testbed.attack.expected import Expected
from testbed.attack.observation import Link, Observation


def got(seen: Observation, wanted: Expected = Expected.OPEN) -> score.Score:
    found = scored(BY_ID["late cells"], [(seen, WEB.truth)], wanted, random.Random(1))
    assert found is not None
    return found


@pytest.mark.parametrize("seconds", [0.002, 0.030])
def test_work_for_a_mail_names_its_link(seconds: float) -> None:
    assert got(ticked(with_mail(seconds))).low > 0.4


def test_where_no_mail_makes_cells_late_it_knows_nothing_but_finds_a_plant() -> None:
    found = got(ticked(lambda link, tick: 0.0), Expected.CHANCE)
    assert found.low <= found.chance <= found.high
    assert found.planted


def test_a_machine_that_stalls_all_links_of_a_tick_says_nothing() -> None:
    rng = random.Random(9)
    stalls = {hop: {rng.randrange(int(WEB.end / PERIOD)) for _ in range(40)} for hop in HOPS}

    def late(link: Link, tick: float) -> float:
        first = link == next(one for one in LINKS if one[0] == link[0])
        return 0.05 if first and int(tick / PERIOD) in stalls[link[0]] else 0.0

    found = got(ticked(late))
    assert found.low <= found.chance <= found.high


def test_links_without_ticks_are_no_trouble() -> None:
    web = Simulated()
    assert set(rhythm.guess(web.seen, random.Random(1))) <= set(range(len(web.entries)))
    assert rhythm.guess(Observation(HOPS, (), dict.fromkeys(LINKS, ())), random.Random(1)) == {}


def test_the_plant_moves_one_cell_whole_and_no_other() -> None:
    seen = ticked(lambda link, tick: 0.0)
    altered = plant.late_cells(seen, WEB.truth, [0])
    link, at = WEB.letters[0].path, WEB.entries[0].mail.end
    assert {one for one in LINKS if altered.packets[one] != seen.packets[one]} == {link}
    moved = sorted(set(seen.packets[link]) - set(altered.packets[link]))
    begin = next(time for time in rhythm.starts(seen.packets[link]) if time >= at)
    assert [time for time, _ in moved] == [t for t, _ in seen.packets[link] if 0 <= t - begin < 0.1]
    assert len(moved) == 12
    there = set(altered.packets[link]) - set(seen.packets[link])
    assert sorted(there) == [(time + plant.OF_SOME, size) for time, size in moved]
