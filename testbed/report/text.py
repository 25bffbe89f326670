"""Words and signs that every view of the verdict shares. Pure functions."""

from __future__ import annotations

from testbed.claims import Claim
from testbed.report.escape import printable
from testbed.report.record import Capture, Memory, Record, Row
from testbed.verdict import Finding, Status

SYMBOL = {
    Status.PASS: "✓",
    Status.FAIL: "✗",
    Status.INCONCLUSIVE: "?",
    Status.NOT_APPLICABLE: "–",
}
"""A sign for each answer, so that colour is never the only one to tell."""

WORD = {
    Status.PASS: "holds",
    Status.FAIL: "fails",
    Status.INCONCLUSIVE: "inconclusive",
    Status.NOT_APPLICABLE: "not applicable",
}


def count(number: int, noun: str) -> str:
    """`1 node`, `20 links`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def size(octets: int) -> str:
    """A number of bytes for people: `812 B`, `10.4 KB`, `1.0 MB` (powers of 1000)."""
    if octets < 1000:
        return f"{octets} B"
    if octets < 999_950:
        return f"{octets / 1000:.1f} KB"
    return f"{octets / 1_000_000:.1f} MB"


def arrow(subject: str) -> str:
    """A link's name for people: `alpha → bravo`; a node's stays as it is."""
    return subject.replace(">", " → ")


def stage_of(record: Record) -> str:
    """The link stage, and whether mail hosts stand beside the nodes (on port 25 they have to)."""
    return f"{record.link}{' beside mail hosts' if record.hosted else ''}"


def headline(record: Record) -> str:
    """The verdict in one line, without sign or exit status."""
    rows, stage = record.rows, f"at link stage {stage_of(record)}"
    failed = [row for row in rows if row.status is Status.FAIL]
    unknown = [row for row in rows if row.status is Status.INCONCLUSIVE]
    if failed:
        verb = "fails" if len(failed) == 1 else "fail"
        return f"FAILS: {len(failed)} of {len(rows)} claims {verb} {stage}{_expected(record)}"
    if unknown:
        names = ", ".join(row.claim.id for row in unknown)
        return f"INCONCLUSIVE: nothing fails {stage}, but this could not be judged: {names}"
    if record.status:
        return f"INCONCLUSIVE: nothing was measured {stage}"
    held = sum(row.status is Status.PASS for row in rows)
    other = len(rows) - held
    aside = f" ({other} more not claimed there)" if other else ""
    return f"HOLDS: all {held} claims hold {stage}{aside}{_expected(record)}"


def overall(record: Record) -> Status:
    """The whole run's answer, as its exit status says it."""
    return {0: Status.PASS, 1: Status.FAIL}.get(record.status, Status.INCONCLUSIVE)


def _expected(record: Record) -> str:
    if record.as_expected:
        return ", as expected"
    other = ", ".join(row.claim.id for row in record.rows if not row.as_expected)
    return f"; not as expected: {other}"


def captured(capture: Capture) -> str:
    """What the sniffer has, and what it hasn't."""
    drops = f"{capture.drops:,} dropped" if capture.drops else "none dropped"
    lacks = "" if capture.complete else f"; not complete: {printable(capture.why)}"
    return f"{count(capture.packets, 'packet')} captured, {drops}{lacks}"


def remembered(memory: Memory) -> str:
    """What the memory of one running node showed: as much as was measured, and no more."""
    if memory.why:
        return f"{memory.node}: not known, {printable(memory.why)}"
    part = "" if memory.whole else "the first "
    processes = "1 process" if memory.processes == 1 else f"{memory.processes} processes"
    return (
        f"{memory.node}: marks of {memory.found} of {count(memory.letters, 'mail')}, "
        f"{memory.seconds:.0f} s after the last had arrived ({part}{size(memory.bytes)} of "
        f"{processes})"
    )


def why_open(finding: Finding) -> str:
    """Why a finding is inconclusive."""
    missing = [
        control.sought + (f" ({control.where})" if control.where else "")
        for control in finding.controls
        if not control.found
    ]
    if missing:
        return "the control was not found: " + "; ".join(missing)
    return "nothing that could have shown a leak was seen to work: " + finding.looked_at


def causes(claim: Claim) -> str:
    """What usually makes a claim fail, without the marks of Markdown."""
    return claim.causes.replace("`", "")


def what_to_do(row: Row) -> str:
    """What a user can do about an inconclusive row."""
    return (
        f"look whether the witness ({row.claim.witness}) could see anything at all, and run make "
        "verify again; nothing is claimed until the control is found"
    )
