"""The score: which plants the verdict caught, and whom it accused of nothing. No I/O here.

A plant is caught when the claim that is there for it fails at its node, as its kind, and shows it.
Whoever else is accused is a false alarm; what is inconclusive is neither, and is counted apart.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from scipy.special import betaincinv

from testbed.claims import BY_ID, Expected
from testbed.leaks.plant import Grade, Plant
from testbed.topology import Link
from testbed.verdict import Finding, Status

KIN = (
    frozenset({"silent-root", "silent-tmpfs", "silent-volume", "silent-writes", "silent-calls",
               "no-growth"}),
    frozenset({"silent-output", "silent-calls", "silent-writes", "docker-keeps", "no-growth"}),
    frozenset({"silent-syslog", "contacts", "silent-sockets", "silent-calls", "dns-late",
               "link-port", "wire-fields", "no-growth"}),
    frozenset({"spool-sealed", "spool-forgets", "silent-volume", "no-growth", "message-ids"}),
    frozenset({"headers", "message-ids"}),
    frozenset({"delivered", "headers", "link-port", "link-mails", "dns-late", "no-growth"}),
    frozenset({"silent-calls", "process-plain"}),
    frozenset({"link-cells", "link-ticks"}),
)  # fmt: skip
"""Claims that look at one thing from several sides: what one must catch the others may see too."""

CONFIDENCE = 0.95


class Outcome(StrEnum):
    """What became of a plant."""

    CAUGHT = "caught"
    ELSEWHERE = "by another claim only"
    OPEN = "inconclusive"
    MISSED = "missed"
    ALLOWED = "missed, as allowed"


@dataclass(frozen=True)
class Accusation:
    """A row that accuses a node which did nothing, or of what it didn't do."""

    run: str
    subject: str
    claim: str
    kind: str
    evidence: str


@dataclass(frozen=True)
class Result:
    """What the verdict said of one plant."""

    name: str
    grade: str
    blind: bool
    node: str
    claim: str
    kind: str
    outcome: Outcome
    evidence: str
    """What showed it; without that, what was found instead."""
    accused_by: tuple[str, ...]
    """All claims that failed at its node."""

    @property
    def well(self) -> bool:
        """Caught as it should be, or allowed not to be."""
        if self.blind and self.outcome is Outcome.ELSEWHERE:
            return True  # its author could only guess by which
        return self.outcome in {Outcome.CAUGHT, Outcome.ALLOWED}


@dataclass(frozen=True)
class Clean:
    """One run over a clean web."""

    run: str
    """Its load and seed, in words."""
    alarms: tuple[Accusation, ...]
    open: tuple[str, ...]
    """Rows that were inconclusive: claim, subject and why."""


@dataclass(frozen=True)
class Planted:
    """One run over a web with plants."""

    run: str
    seconds: float
    results: tuple[Result, ...]
    alarms: tuple[Accusation, ...]
    open: tuple[str, ...]
    rows_clean: int
    """Rows about its clean nodes."""


@dataclass(frozen=True)
class Score:
    """All runs together."""

    planted: tuple[Planted, ...]
    clean: tuple[Clean, ...]
    seed: int
    seconds: float

    @property
    def runs(self) -> tuple[Planted | Clean, ...]:
        """All runs, in order."""
        return (*self.planted, *self.clean)

    @property
    def results(self) -> tuple[Result, ...]:
        """One a plant."""
        return tuple(result for run in self.planted for result in run.results)

    @property
    def alarms(self) -> tuple[Accusation, ...]:
        """All false accusations."""
        return tuple(alarm for run in self.runs for alarm in run.alarms)

    @property
    def open(self) -> tuple[str, ...]:
        """All rows that were inconclusive."""
        return tuple(row for run in self.runs for row in run.open)

    @property
    def alarmed(self) -> int:
        """Clean runs with a false alarm."""
        return sum(bool(run.alarms) for run in self.clean)

    @property
    def bound(self) -> float:
        """Upper 95 % bound of the share of clean runs with a false alarm."""
        return upper_bound(self.alarmed, len(self.clean))

    @property
    def status(self) -> int:
        """0: all caught and nobody wrongly accused; 1: not so; 2: else something was left open.

        Blind leaks don't count here: how many of them are caught is told apart.
        """
        must = [result for result in self.results if not result.blind and not result.well]
        if self.alarms or any(result.outcome is not Outcome.OPEN for result in must):
            return 1
        return 2 if self.open or must else 0


def upper_bound(count: int, of: int, confidence: float = CONFIDENCE) -> float:
    """The one-sided Clopper-Pearson bound: the rate that gives `count` or fewer only so rarely."""
    return 1.0 if count >= of else float(betaincinv(count + 1, of - count, confidence))


def node_of(finding: Finding) -> str:
    """The node that a finding accuses: of a link, the one that sends."""
    return finding.subject.partition(">")[0]


def webs(plants: Iterable[Plant], most: int) -> list[list[Plant]]:
    """The plants shared out to webs, evenly, at most so many in one; those beside hosts apart.

    So are link stages, and each plant that has to be everywhere.
    """
    kinds: dict[object, list[Plant]] = defaultdict(list)
    for plant in plants:
        kinds[plant.hosted, plant.link, plant.everywhere and plant.name].append(plant)
    shared: list[list[Plant]] = []
    for own in kinds.values():
        count = -(-len(own) // most)
        shared += [own[at::count] for at in range(count)]
    return shared


def result(plant: Plant, node: str, findings: Sequence[Finding]) -> Result:
    """What the rows about a plant's node say of it."""
    failed = [f for f in findings if f.status is Status.FAIL]
    names = {f.claim for f in failed} - _usual(plant.hosted)
    shown = [_shown(f, plant.shows) for f in failed if _of(f, plant)]
    evidence = next(filter(None, shown), "")
    if evidence and plant.also <= names:
        outcome = Outcome.CAUGHT
    elif not evidence and any(_left_open(f, plant) for f in findings):
        outcome = Outcome.OPEN
    elif names:
        outcome = Outcome.ELSEWHERE
    else:
        outcome = Outcome.ALLOWED if plant.missed else Outcome.MISSED
    if outcome is Outcome.ELSEWHERE:
        evidence = _instead(plant, failed, names)
    return Result(
        plant.name, plant.grade, plant.blind, node, plant.claim, plant.kind, outcome, evidence,
        tuple(claim for claim in BY_ID if claim in names),
    )  # fmt: skip


def _left_open(finding: Finding, plant: Plant) -> bool:
    """Its own claim's witness didn't see: that is no miss, and no catch."""
    return finding.claim == plant.claim and finding.status is Status.INCONCLUSIVE


def _of(finding: Finding, plant: Plant) -> bool:
    """By the right claim and kind; and the check was seen to work."""
    right = finding.claim == plant.claim and plant.kind in {"", finding.kind}
    return right and any(control.found for control in finding.controls)


def _shown(finding: Finding, pattern: str) -> str:
    told = (f"{e.where}: {e.what}" for e in finding.evidence)
    return next((line for line in told if re.search(pattern, line)), "")


def _instead(plant: Plant, failed: Sequence[Finding], names: set[str]) -> str:
    """Why it isn't caught as it should be, though its node is accused."""
    if lacking := plant.also - names:
        return f"not by {', '.join(sorted(lacking))}"
    first = min((f for f in failed if f.claim in names), key=lambda f: f.claim != plant.claim)
    return f"{first.claim} ({first.kind}): {_shown(first, '')}"


def explained(plant: Plant) -> frozenset[str]:
    """The claims that may accuse a plant's node; a blind one's any: nobody knows what it does."""
    if plant.blind:
        return frozenset(BY_ID)
    kin = frozenset().union(*(claims for claims in KIN if plant.claim in claims))
    return kin | plant.also | plant.perhaps | {plant.claim}


def alarms(run: str, findings: Iterable[Finding], *, hosted: bool = False,
           but: frozenset[str] = frozenset()) -> tuple[Accusation, ...]:  # fmt: skip
    """The rows that fail and shouldn't. `but`: claims that may."""
    usual = _usual(hosted) | but
    return tuple(
        Accusation(run, f.subject, f.claim, f.kind, _shown(f, ""))
        for f in findings
        if f.status is Status.FAIL and f.claim not in usual
    )


def inconclusive(
    run: str, findings: Iterable[Finding], *, but: frozenset[str] = frozenset()
) -> tuple[str, ...]:
    """The rows that say neither yes nor no, and why. `but`: claims of which a plant takes that."""
    return tuple(
        f"{run}: {f.claim} at {f.subject}: {_why(f)}"
        for f in findings
        if f.status is Status.INCONCLUSIVE and f.claim not in but
    )


def _why(finding: Finding) -> str:
    return next((f"not found: {c.sought}" for c in finding.controls if not c.found),
                finding.looked_at)  # fmt: skip


def _usual(hosted: bool) -> frozenset[str]:
    """What fails at every node that stands beside a mail host: it logs."""
    return frozenset(
        claim.id for claim in BY_ID.values() if claim.expected(Link.TLS, hosted) is Expected.FAILS
    )


@dataclass(frozen=True)
class Tally:
    """A line of the score: plants of a grade, or the blind ones."""

    name: str
    results: tuple[Result, ...]

    def count(self, outcome: Outcome) -> int:
        """How many had this outcome."""
        return sum(result.outcome is outcome for result in self.results)


def tallies(score: Score) -> tuple[Tally, ...]:
    """By grade; blind ones apart, since they say how the checkers fare with what is new to them."""
    seen = [result for result in score.results if not result.blind]
    by_grade = [Tally(str(grade), tuple(r for r in seen if r.grade == grade)) for grade in Grade]
    blind = Tally("blind", tuple(r for r in score.results if r.blind))
    return tuple(tally for tally in (*by_grade, blind) if tally.results)


def to_json(score: Score) -> str:
    """leaks.json."""
    told = {
        "status": score.status,
        "seed": score.seed,
        "seconds": round(score.seconds, 1),
        "by_grade": {
            tally.name: {"planted": len(tally.results)}
            | {str(outcome): tally.count(outcome) for outcome in Outcome}
            for tally in tallies(score)
        },
        "false_alarms": {
            "clean_runs": len(score.clean),
            "with_a_false_alarm": score.alarmed,
            "upper_bound_95": round(score.bound, 4),
            "rows_of_clean_nodes_beside_leaks": sum(run.rows_clean for run in score.planted),
            "all": [asdict(alarm) for alarm in score.alarms],
        },
        "inconclusive": score.open,
        "planted": [asdict(result) for result in score.results],
        "clean": [run.run for run in score.clean],
        "webs": {run.run: run.seconds for run in score.planted},
    }
    return json.dumps(told, indent=1, ensure_ascii=False) + "\n"
