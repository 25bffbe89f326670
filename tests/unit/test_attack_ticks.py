"""Ticks, taught: whatever ticks tell of mail is found, wherever it shows; and nothing else is."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from attack_ticks import PERIOD, WEB, ticked, with_mail
from attack_web import HOPS, Simulated

from testbed.attack import rhythm, score
from testbed.attack.case import scored
from testbed.attack.catalogue import BY_ID, MAIL
from testbed.attack.expected import Expected
from testbed.attack.observation import Link, Observation
from testbed.attack.questions import next_hop
from testbed.attack.ticks import Pupil

Late = Callable[[Link, float], float]
CAME = [
    (letter.path, entry.mail.end) for letter, entry in zip(WEB.letters, WEB.entries, strict=True)
]


def got(seen: Observation, wanted: Expected = Expected.OPEN) -> score.Score:
    found = scored(BY_ID["ticks, taught"], [(seen, WEB.truth)], wanted, random.Random(1))
    assert found is not None
    return found


def works_at(where: Callable[[Link, Link], bool], seconds: float, after: float) -> Late:
    """A cell of a link is late for a tick, so long after a mail came in, if it is one of these:
    (the cell's link, the mail's path)."""

    def late(link: Link, tick: float) -> float:
        return sum(
            seconds
            for path, came in CAME
            if 0 <= tick - came - after < PERIOD and where(link, path)
        )

    return late


@pytest.mark.parametrize(
    "where",
    [
        lambda link, path: link == path,
        # The receiver works, and its own cells show it: all of them, or the sender's on another.
        lambda link, path: link[0] == path[1],
        lambda link, path: link == (path[0], _after(path)),
    ],
    ids=["its own link", "the receiver's links", "another link of the sender"],
)
def test_wherever_work_shows_it_names_the_next_hop(where: Callable[[Link, Link], bool]) -> None:
    found = got(ticked(works_at(where, 0.003, 0.3)))
    assert found.p < 0.001
    assert found.low > found.chance


def _after(path: Link) -> str:
    """Another than the next hop, always the same one for it."""
    others = [hop for hop in HOPS if hop != path[0]]
    return others[(others.index(path[1]) + 1) % len(others)]


def test_where_ticks_say_nothing_it_knows_nothing_but_finds_a_plant() -> None:
    found = got(ticked(lambda link, tick: 0.0), Expected.CHANCE)
    assert found.low <= found.chance <= found.high
    assert found.planted
    assert found.leak
    assert found.late
    assert found.late < 0.005


def test_chance_is_chance_on_both_sides() -> None:
    """Of twenty webs without a leak, whose machine stalls at times, few have a p below .1."""
    sides: list[tuple[float, float]] = []
    for seed in range(20):
        rng = random.Random(seed)
        stalled = {hop: {rng.randrange(400) for _ in range(60)} for hop in HOPS}

        def late(link: Link, tick: float, stalled: dict[str, set[int]] = stalled) -> float:
            # Who works at a moment has all its cells late, whatever mail there is.
            return 0.01 * (int(tick / PERIOD) in stalled[link[0]])

        for attack in ("ticks, taught", "late cells"):
            seen = ticked(late, seed)
            found = scored(BY_ID[attack], [(seen, WEB.truth)], Expected.OPEN, random.Random(seed))
            assert found
            sides.append((found.p, found.below))
    for ps in zip(*sides, strict=True):
        assert sum(p < 0.1 for p in ps) <= 11  # of 40; P(more) < .001


def test_nobody_is_asked_what_he_was_taught() -> None:
    """Labels that are noise are not learnt by heart."""
    asked = next_hop(*MAIL)(WEB.seen, WEB.truth)
    pupil = Pupil.of(ticked(with_mail(0.0)), [int(str(key)) for key in asked])
    labels = np.random.default_rng(1).integers(0, len(HOPS) - 1, (len(asked), 50))
    assert abs((pupil.guesses(labels) == labels).mean() - 0.25) < 0.03


def test_a_cell_that_is_left_out_is_as_late_as_can_be_and_blames_no_other() -> None:
    seen = ticked(lambda link, tick: 0.0)
    hop = HOPS[0]
    first, second = rhythm.lateness(seen, hop).names[:2]
    begins = rhythm.starts(seen.packets[hop, first])
    gone = tuple(one for one in seen.packets[hop, first] if not 0 <= one[0] - begins[20] < 0.1)
    packets = dict(seen.packets) | {(hop, first): gone}
    before, after = (rhythm.lateness(one, hop) for one in (seen, replace(seen, packets=packets)))
    tick = int(np.searchsorted(after.ticks, begins[20] - PERIOD / 2))
    assert after.steps[tick, after.names.index(first)] == np.inf
    assert abs(after.steps[tick, after.names.index(second)]) < 20
    assert np.isfinite(before.steps).all()


def test_ticks_that_a_hop_leaves_out_name_it_and_no_link() -> None:
    """A hop that has got a mail leaves out a tick: who is taught sees it, and no link is late."""
    gone = {(path[1], int((came + PERIOD) / PERIOD)) for path, came in CAME}
    seen = ticked(lambda link, tick: 0.0)
    packets = {
        link: tuple(one for one in own if (link[0], int(one[0] / PERIOD)) not in gone)
        for link, own in seen.packets.items()
    }
    silent = replace(seen, packets=packets)
    assert got(silent).p < 0.001
    late = scored(BY_ID["late cells"], [(silent, WEB.truth)], Expected.OPEN, random.Random(1))
    assert late
    assert late.n == len(CAME)


def test_a_web_without_ticks_is_no_trouble() -> None:
    web = Simulated(mails=2)
    found = scored(BY_ID["ticks, taught"], [(web.seen, web.truth)], Expected.OPEN, random.Random(1))
    assert found
    nothing = replace(WEB.seen, packets={})
    assert got(nothing).p > 0.001
