"""Plants in nodes, not in traces: which attack has to find each, and whether it did. Pure.

Each is a small patch of the stock image (tests/leaks/), at every node of a web of its own. The
attacks that are at chance on `cells` try on it as they are. One that misses its plant may not say
of the stock image that there is nothing.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from testbed.attack import statistics
from testbed.attack.case import Tape, scored, views
from testbed.attack.catalogue import ATTACKS
from testbed.attack.expected import ALPHA, Expected, expected
from testbed.attack.load import Size
from testbed.attack.score import Score
from testbed.topology import Link
from testbed.wire.packets import Wire

SENT = Size(forward=60, reply=0, sealed=0, tagged=0, rounds=0, rate=2.0)
"""1,200 mails in a web of five: so many show one twentieth given away, chance 1/4, at 90 %."""


@dataclass(frozen=True)
class Physical:
    """One plant: its module in tests/leaks/, and where it has to be found."""

    name: str
    attacks: tuple[str, ...]
    """Each has to find it."""
    pool: str = "off"
    link: Link = Link.CELLS
    beyond: float = 0.0
    """What the score has to exceed surely, where that of a stock web is above chance already."""

    @property
    def title(self) -> str:
        """The name as tables write it."""
        return self.name.replace("_", "-")


PHYSICAL = (
    Physical("mail_past_pacer_5", ("combined",)),
    Physical("mail_past_pacer_10", ("combined",), pool="exponential:2.0"),
    Physical("pacer_stutters", ("busy or idle", "late cells", "ticks, taught")),
    Physical("timing_bits", ("busy or idle",)),
    Physical("cover_stops", ("busy or idle",)),
    # Two sizes say whether there is mail, but not how long it is.
    Physical("two_sizes", ("busy or idle",)),
    Physical("cells_unpadded", ("size",)),
    # On cells no wire shows in which order mail leaves: what a pool is worth shows on tls.
    Physical("pool_fifo", ("order",), pool="exponential:2.0", link=Link.TLS, beyond=0.7),
)
BY_NAME = {plant.name: plant for plant in PHYSICAL}

ASKED = tuple(
    attack
    for attack in ATTACKS
    if expected(attack.id, "cells", pool=False) in {Expected.CHANCE, Expected.QUIET}
)
"""The attacks that are tried on every plant."""


@dataclass(frozen=True)
class Tried:
    """What the attacks got on one plant's web."""

    name: str
    stage: str
    pool: str
    seed: int
    sent: int
    arrived: int
    seconds: float
    scores: dict[str, Score | None]
    trouble: str = ""


@dataclass(frozen=True)
class Search:
    """Whether an attack that has to find a plant did."""

    plant: Physical
    attack: str
    tried: Tried
    score: Score | None
    p: float
    """Corrected for all plants and attacks that have to find them (Holm)."""

    @property
    def found(self) -> bool:
        """Surely better than chance, and than on a stock web."""
        return self.score is not None and self.p < ALPHA and self.score.low > self.plant.beyond


def tried(plant: Physical, tape: Tape, wire: Wire, seed: int) -> Tried:
    """Let the attacks try; where the capture can't be trusted, nothing is asked."""
    trouble = tape.trouble(wire)
    scores: dict[str, Score | None] = {}
    if not trouble:
        seen = views(tape, wire)["W"]
        for attack in ASKED:
            rng = random.Random(f"{seed} {tape.spans[0][0]} {plant.name} {attack.id}")
            scores[attack.id] = scored(attack, seen, Expected.OPEN, rng)
    topology = tape.topology
    return Tried(
        plant.name, str(topology.link), topology.pool, seed, len(tape.load.main), tape.arrived,
        tape.seconds, scores, trouble,
    )  # fmt: skip


def searches(found: Iterable[Tried]) -> tuple[Search, ...]:
    """The verdict on each plant's attacks."""
    asked = [
        (plant, attack, one, one.scores.get(attack))
        for one in found
        for plant in (BY_NAME[one.name],)
        for attack in plant.attacks
    ]
    ps: dict[Hashable, float] = {(p.name, a): s.p for p, a, _, s in asked if s is not None}
    held = statistics.holm(ps)
    return tuple(
        Search(plant, attack, one, score, held.get((plant.name, attack), 1.0))
        for plant, attack, one, score in asked
    )


def missed(done: Iterable[Search], attack: str, stage: str) -> str:
    """Which plants this attack should have found at this stage, and didn't; empty: none."""
    own = [one for one in done if (one.attack, one.tried.stage) == (attack, stage)]
    return ", ".join(one.plant.title for one in own if not one.found)
