"""Findings and the verdict they add up to. No I/O here; and nothing passes by default."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """The four answers a check can give."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True)
class Context:
    """What stood around a piece of evidence, as far as its witness had it at hand."""

    dump: tuple[str, ...] = ()
    """The bytes around it, as `hexdump.dump` shows them."""
    process: str = ""
    """Who did it: command and process id."""
    packet: str = ""
    """Which packet carried it: when, from where, to where, how long."""

    @property
    def lines(self) -> tuple[str, ...]:
        """All of it, line by line, for any view; none where nothing is known."""
        said = (("process", self.process), ("packet", self.packet))
        return (*(f"{name}: {what}" for name, what in said if what), *self.dump)


@dataclass(frozen=True)
class Evidence:
    """One thing that was found: where (file and offset, packet number) and what stood there."""

    where: str
    what: str
    context: Context = Context()


MOST_TOLD = 20
"""Pieces of evidence in one row."""


def some(evidence: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """The first pieces of evidence, and how many more there are."""
    if len(evidence) <= MOST_TOLD:
        return tuple(evidence)
    rest = len(evidence) - MOST_TOLD
    return (*evidence[:MOST_TOLD], Evidence(evidence[MOST_TOLD].where, f"and {rest} more like it"))


@dataclass(frozen=True)
class Control:
    """The positive twin: what the same code had to find in the same run, and whether it did."""

    sought: str
    found: bool
    where: str = ""


@dataclass(frozen=True)
class Finding:
    """One row of the verdict: one claim about one node or one link.

    `subject` is a node's name (`alpha`) or a directed link (`alpha>bravo`).
    `kind` names the sort of leak, for a failed row (`stdout`, `volume`, `tmpfs`, ...).
    """

    claim: str
    subject: str
    status: Status
    looked_at: str
    controls: tuple[Control, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    kind: str = ""


def judge(
    claim: str,
    subject: str,
    *,
    looked_at: str,
    controls: Sequence[Control],
    evidence: Iterable[Evidence] = (),
    kind: str = "",
) -> Finding:
    """A negative check's finding: any evidence fails it, a control not found leaves it open.

    There must be at least one control: a check without one is inconclusive.
    """
    found = tuple(evidence)
    if found:
        status = Status.FAIL
    elif controls and all(c.found for c in controls):
        status = Status.PASS
    else:
        status = Status.INCONCLUSIVE
    return Finding(claim, subject, status, looked_at, tuple(controls), found, kind if found else "")


def exit_status(findings: Sequence[Finding]) -> int:
    """0: every row passes; 1: a claim fails; 2: a row is inconclusive, or there is no row."""
    statuses = {f.status for f in findings}
    if Status.FAIL in statuses:
        return 1
    if Status.INCONCLUSIVE in statuses or Status.PASS not in statuses:
        return 2
    return 0
