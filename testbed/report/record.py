"""A verification run as a value: everything that any view of the verdict needs. No I/O here.

`Record.of` puts it together and adds an inconclusive finding wherever no witness answered, so that
what nobody looked at can't look like what holds.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property

from pydantic import TypeAdapter, ValidationError

from testbed.claims import BY_ID, CLAIMS, Claim, Expected, Group
from testbed.errors import TestbedError
from testbed.report.escape import printable
from testbed.topology import Link, Topology
from testbed.verdict import Context, Control, Evidence, Finding, Status, exit_status

SCHEMA = 1
"""Version of the JSON form; it changes when an older reader would misunderstand a newer file."""

NOBODY = "nothing: no witness answered about it in this run"

NOT_CLAIMED = "nothing: it is not claimed at this stage"

_WANTED = {
    Expected.HOLDS: Status.PASS,
    Expected.FAILS: Status.FAIL,
    Expected.NOT_CLAIMED: Status.NOT_APPLICABLE,
}
_WORST_FIRST = (Status.FAIL, Status.INCONCLUSIVE, Status.PASS, Status.NOT_APPLICABLE)


@dataclass(frozen=True)
class Host:
    """A machine of the web: a node with its mail address, or a mail host with its domain."""

    name: str
    address: str
    host: str
    """IP address inside the web."""


@dataclass(frozen=True)
class Mail:
    """A mail that was sent: what it was, which way it went, whether it arrived as it was sent."""

    number: int
    kind: str
    path: tuple[str, ...]
    """Names of the nodes, in order."""
    size: int
    """Bytes, as submitted."""
    delivered: bool
    seconds: float | None = None
    """From submission until it was read over IMAP, where that was measured."""


@dataclass(frozen=True)
class Traffic:
    """What the sniffer saw on one directed link (`alpha>bravo`)."""

    link: str
    mails: int
    bytes: int
    packets: int


@dataclass(frozen=True)
class Capture:
    """The pcap that findings about wires rest on. `why` says what it lacks, if it does."""

    file: str
    packets: int
    drops: int
    complete: bool
    why: str = ""


@dataclass(frozen=True)
class Memory:
    """What the memory of one running node showed of the mail that had gone through it."""

    node: str
    letters: int
    """Mails of the run that went through it."""
    found: int = 0
    """Of how many of them a mark was found."""
    marks: int = 0
    """Different marks, or prefixes of marks."""
    seconds: float = 0.0
    """From when the last of them arrived until its main process had been searched."""
    bytes: int = 0
    processes: int = 0
    whole: bool = False
    """All of it was searched in the time that there was."""
    where: tuple[str, ...] = ()
    """Processes with marks, and which."""
    why: str = ""
    """Why nothing can be said."""


@dataclass(frozen=True)
class Timing:
    """How long one phase of the run took."""

    phase: str
    seconds: float


@dataclass(frozen=True)
class Row:
    """One claim of the verdict, with what was found about each of its subjects."""

    claim: Claim
    expected: Expected
    findings: tuple[Finding, ...]

    @cached_property
    def by_subject(self) -> dict[str, Status]:
        """The answer for each node or link: the worst of what was found about it."""
        found: dict[str, list[Status]] = {}
        for finding in self.findings:
            found.setdefault(finding.subject, []).append(finding.status)
        return {subject: _worst(statuses) for subject, statuses in found.items()}

    @property
    def status(self) -> Status:
        """The claim's answer: the worst of its subjects'."""
        return _worst(self.by_subject.values())

    def count(self, status: Status) -> int:
        """How many nodes or links have this answer."""
        return list(self.by_subject.values()).count(status)

    @property
    def total(self) -> int:
        """How many nodes or links the claim is about."""
        return len(self.by_subject)

    @property
    def as_expected(self) -> bool:
        """Every node or link answers exactly as the table of claims expects at this stage."""
        return set(self.by_subject.values()) == {_WANTED[self.expected]}

    def problems(self) -> tuple[Finding, ...]:
        """The findings that fail or are inconclusive, in order."""
        open_ = (Status.FAIL, Status.INCONCLUSIVE)
        return tuple(f for f in self.findings if f.status in open_)

    @property
    def worst_first(self) -> tuple[Finding, ...]:
        """All findings: failures, then what is inconclusive, then the rest, each in order."""
        return tuple(sorted(self.findings, key=lambda f: _WORST_FIRST.index(f.status)))


@dataclass(frozen=True)
class Record:
    """One verification run."""

    web: str
    link: Link
    pool: str
    nodes: tuple[Host, ...]
    mailhosts: tuple[Host, ...]
    """The sender's and the recipient's, in this order."""
    dns: str
    leaks: dict[str, str]
    """Planted leaks: node name → name of the plant."""
    started: datetime
    """UTC."""
    seed: int
    versions: dict[str, str]
    findings: tuple[Finding, ...]
    timings: tuple[Timing, ...] = ()
    mails: tuple[Mail, ...] = ()
    traffic: tuple[Traffic, ...] = ()
    capture: Capture | None = None
    memory: tuple[Memory, ...] = ()
    hosted: bool = False
    """Each node stood beside a mail host that logs."""
    schema: int = SCHEMA

    @classmethod
    def of(
        cls,
        topology: Topology,
        *,
        started: datetime,
        seed: int,
        versions: Mapping[str, str],
        findings: Iterable[Finding],
        timings: Iterable[Timing] = (),
        mails: Iterable[Mail] = (),
        traffic: Iterable[Traffic] = (),
        capture: Capture | None = None,
        memory: Iterable[Memory] = (),
    ) -> Record:
        """The record of a run on this web. Raises ValueError on a finding about none of it."""
        return cls(
            web=topology.web,
            link=topology.link,
            pool=topology.pool,
            nodes=tuple(Host(n.name, n.address, n.host) for n in topology.remailers),
            mailhosts=tuple(Host(m.name, m.domain, m.host) for m in topology.mailhosts),
            dns=topology.dns,
            leaks=dict(topology.leaks),
            hosted=topology.hosted,
            started=started.astimezone(UTC),
            seed=seed,
            versions=dict(versions),
            findings=_completed(tuple(findings), topology),
            timings=tuple(timings),
            mails=tuple(mails),
            traffic=tuple(traffic),
            capture=capture,
            memory=tuple(memory),
        )

    @property
    def status(self) -> int:
        """The run's exit status: 0 all hold, 1 a claim fails, 2 inconclusive."""
        return exit_status(self.findings)

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """One row a claim, in the table's order; claims without any finding have none."""
        rows = (
            Row(
                c,
                c.expected(self.link, self.hosted),
                tuple(f for f in self.findings if f.claim == c.id),
            )
            for c in CLAIMS
        )
        return tuple(row for row in rows if row.findings)

    @property
    def groups(self) -> tuple[tuple[Group, tuple[Row, ...]], ...]:
        """The same rows, by what they are about."""
        found = itertools.groupby(self.rows, lambda row: row.claim.group)
        return tuple((group, tuple(rows)) for group, rows in found)

    @property
    def as_expected(self) -> bool:
        """Every claim answers as the table of claims expects at this link stage."""
        return len(self.rows) == len(CLAIMS) and all(row.as_expected for row in self.rows)

    @property
    def seconds(self) -> float:
        """How long the run took, all phases together."""
        return sum(t.seconds for t in self.timings)

    def link_statuses(self, claims: Iterable[str]) -> dict[str, Status]:
        """For each directed link (`alpha>bravo`) the worst answer of these claims about it."""
        wanted = set(claims)
        found: dict[str, list[Status]] = {}
        for finding in self.findings:
            if finding.claim in wanted and BY_ID[finding.claim].per == "link":
                found.setdefault(finding.subject, []).append(finding.status)
        return {link: _worst(statuses) for link, statuses in found.items()}


_ADAPTER = TypeAdapter(Record)


def to_json(record: Record) -> str:
    """The record as indented JSON, from which `from_json` makes the same record again."""
    return _ADAPTER.dump_json(record, indent=1).decode() + "\n"


def from_json(text: str) -> Record:
    """The record that `to_json` wrote. Raises TestbedError for anything else."""
    try:
        record = _ADAPTER.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise TestbedError(
            f"verdict.json can't be read: {place}: {first['msg']}; run make verify again"
        ) from None
    if record.schema != SCHEMA:
        raise TestbedError(
            f"verdict.json has schema {record.schema}, this version reads {SCHEMA}; "
            "run make verify again"
        )
    unknown = sorted({f.claim for f in record.findings} - BY_ID.keys())
    if unknown:
        raise TestbedError(
            f"verdict.json speaks of claims that this version doesn't know ({', '.join(unknown)}); "
            "run make verify again"
        )
    return record


def subjects(claim: Claim, topology: Topology) -> tuple[str, ...]:
    """Every node or directed link that a claim is about."""
    if claim.per == "node":
        return tuple(node.name for node in topology.remailers)
    return tuple(f"{a.name}>{b.name}" for a, b in topology.links)


def _completed(findings: tuple[Finding, ...], topology: Topology) -> tuple[Finding, ...]:
    """In the order of the table, with an inconclusive finding wherever there was none.

    What is not claimed at this stage is not applicable, whatever somebody saw of it.
    """
    given: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        given.setdefault((finding.claim, finding.subject), []).append(_escaped(finding))
    ordered: list[Finding] = []
    for claim in CLAIMS:
        for subject in subjects(claim, topology):
            told = given.pop((claim.id, subject), None)
            if claim.expected(topology.link, topology.hosted) is Expected.NOT_CLAIMED:
                told = [Finding(claim.id, subject, Status.NOT_APPLICABLE, NOT_CLAIMED)]
            nobody = Finding(claim.id, subject, Status.INCONCLUSIVE, NOBODY)
            ordered += told or [nobody]
    if given:
        claim_id, subject = next(iter(given))
        raise ValueError(f"finding about {subject!r} under {claim_id!r}: not in this web or table")
    return tuple(ordered)


def _escaped(finding: Finding) -> Finding:
    """The same finding without a character that JSON, XML or a terminal would stumble over."""
    return replace(
        finding,
        looked_at=printable(finding.looked_at),
        kind=printable(finding.kind),
        controls=tuple(
            Control(printable(c.sought), c.found, printable(c.where)) for c in finding.controls
        ),
        evidence=tuple(
            Evidence(printable(e.where), printable(e.what), _readable(e.context))
            for e in finding.evidence
        ),
    )


def _readable(context: Context) -> Context:
    lines = tuple(map(printable, context.dump))
    return Context(lines, printable(context.process), printable(context.packet))


def _worst(statuses: Iterable[Status]) -> Status:
    present = set(statuses)
    return next(status for status in _WORST_FIRST if status in present)
