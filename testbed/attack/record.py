"""A matrix's results as a value, and as matrix.json. No I/O here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from operator import attrgetter
from typing import Any

from testbed.attack.case import Case, holm
from testbed.attack.catalogue import ATTACKS, Attack
from testbed.attack.expected import HARMLESS, Expected, Outcome, expected, judge
from testbed.attack.physical import Search, Tried, missed, searches
from testbed.attack.score import Score

SCHEMA = 1
"""Version of matrix.json; it changes when an older reader would misunderstand a newer file."""


@dataclass(frozen=True)
class Field:
    """One attack at one link stage with one pool: what it got, and what was expected."""

    attack: Attack
    case: Case
    score: Score | None
    p: float
    """Corrected (Holm) for its stage's fields that should be harmless, or its others (case.py)."""
    below: float
    """The same of a score as low as this."""
    expected: Expected
    outcome: Outcome
    why: str = ""

    @property
    def place(self) -> str:
        """`tls, pool off`."""
        return f"{self.case.stage}, pool {'on' if self.case.pooled else 'off'}"


@dataclass(frozen=True)
class Matrix:
    """Everything that a run of `make matrix` found, and with what."""

    started: datetime
    seconds: float
    seed: int
    full: bool
    nodes: int
    cases: tuple[Case, ...]
    machine: dict[str, str]
    versions: dict[str, str]
    commit: str = ""
    """Of the checkout."""
    plants: tuple[Tried, ...] = ()
    """Webs with a plant at every node."""

    @cached_property
    def searches(self) -> tuple[Search, ...]:
        """Whether each plant was found by the attack that has to."""
        return searches(self.plants)

    @cached_property
    def fields(self) -> dict[tuple[str, str, str], Field]:
        """(attack, stage, pool) → field, for all attacks at all cases."""
        ps, lows = holm(self.cases), holm(self.cases, attrgetter("below"))
        found = {}
        for attack in ATTACKS:
            for case in self.cases:
                key = attack.id, case.stage, case.pool
                found[key] = self._field(attack, case, ps.get(key, 1.0), lows.get(key, 1.0))
        return found

    def _field(self, attack: Attack, case: Case, p: float, below: float) -> Field:
        wanted = expected(attack.id, case.stage, pool=case.pooled)
        score = case.scores.get(attack.id)
        outcome, why = judge(wanted, score, p, below)
        lost = missed(self.searches, attack.id, case.stage)
        if lost and wanted in HARMLESS and outcome is Outcome.AS_EXPECTED:
            outcome, why = Outcome.INCONCLUSIVE, f"a plant in the nodes isn't found either: {lost}"
        why = (score is None and case.trouble) or why
        return Field(attack, case, score, p, below, wanted, outcome, why)

    def row(self, attack: Attack) -> Sequence[Field]:
        """One attack at all cases, in their order."""
        return [self.fields[attack.id, case.stage, case.pool] for case in self.cases]

    def of(self, *outcomes: Outcome) -> Iterator[Field]:
        """The fields that say so."""
        return (field for field in self.fields.values() if field.outcome in outcomes)

    @property
    def status(self) -> int:
        """0 all is as expected, 1 something is otherwise, 2 something is inconclusive."""
        if any(self.of(Outcome.OTHERWISE)):
            return 1
        return 2 if any(self.of(Outcome.INCONCLUSIVE)) else 0

    def as_dict(self) -> dict[str, Any]:
        """matrix.json: each field by attack, stage and pool."""
        return {
            "schema": SCHEMA,
            "started": self.started.isoformat(timespec="seconds"),
            "seconds": round(self.seconds, 1),
            "seed": self.seed,
            "full": self.full,
            "nodes": self.nodes,
            "machine": self.machine,
            "versions": self.versions,
            "commit": self.commit,
            "cases": [
                {
                    "stage": case.stage, "pool": case.pool, "sent": case.sent,
                    "mails a second into each hop": case.rate,
                    "arrived": case.arrived, "seconds": round(case.seconds, 1),
                    "trouble": case.trouble,
                }
                for case in self.cases
            ],
            "fields": [_as_dict(field) for field in self.fields.values()],
            "plants": [_searched(one) for one in self.searches],
        }  # fmt: skip


def _as_dict(field: Field) -> dict[str, Any]:
    told: dict[str, Any] = {
        "attack": field.attack.id,
        "attacker": field.attack.attacker,
        "stage": field.case.stage,
        "pool": field.case.pool,
        "expected": field.expected,
        "outcome": field.outcome,
        "why": field.why,
    }
    if field.score is not None:
        told |= asdict(field.score) | {
            "p of this attack alone": field.score.p,
            "p": field.p,
            "below of this attack alone": field.score.below,
            "below": field.below,
            "advantage": field.score.advantage,
            "advantage at most": field.score.most,
        }
    return told


def _searched(one: Search) -> dict[str, Any]:
    told: dict[str, Any] = {
        "plant": one.plant.name, "stage": one.tried.stage, "pool": one.tried.pool,
        "sent": one.tried.sent, "arrived": one.tried.arrived,
        "seconds": round(one.tried.seconds, 1), "trouble": one.tried.trouble,
        "has to be found by": one.attack, "found": one.found, "p": one.p,
        "scores": {
            attack: score and {**asdict(score), "p of this attack alone": score.p}
            for attack, score in one.tried.scores.items()
        },
    }  # fmt: skip
    return told


def to_json(matrix: Matrix) -> str:
    """The file's text."""
    return json.dumps(matrix.as_dict(), indent=1) + "\n"
