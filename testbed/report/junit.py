"""The verdict as JUnit XML, for whatever runs CI. A pure function.

One test case a finding: the claim is its class, the node or link its name. What fails is a failure,
what is inconclusive an error, what does not apply is skipped.
"""

from __future__ import annotations

from collections import Counter
from xml.etree import ElementTree as ET

from testbed.claims import BY_ID
from testbed.report import text
from testbed.report.escape import printable
from testbed.report.record import Record
from testbed.verdict import Finding, Status

_TAG = {Status.FAIL: "failure", Status.INCONCLUSIVE: "error", Status.NOT_APPLICABLE: "skipped"}


def xml(record: Record) -> str:
    """The whole document."""
    statuses = Counter(finding.status for finding in record.findings)
    counts = {
        "tests": str(len(record.findings)),
        "failures": str(statuses[Status.FAIL]),
        "errors": str(statuses[Status.INCONCLUSIVE]),
        "skipped": str(statuses[Status.NOT_APPLICABLE]),
        "time": f"{record.seconds:.3f}",
    }
    name = f"{record.web} link={record.link}"
    root = ET.Element("testsuites", counts)
    stamp = record.started.strftime("%Y-%m-%dT%H:%M:%S")
    suite = ET.SubElement(root, "testsuite", {"name": name, "timestamp": stamp, **counts})
    properties = ET.SubElement(suite, "properties")
    facts = {"seed": str(record.seed), "pool": record.pool, **record.versions}
    for key, value in facts.items():
        ET.SubElement(properties, "property", {"name": key, "value": printable(value)})
    for finding in record.findings:
        _case(suite, finding)
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, "unicode") + "\n"


def _case(suite: ET.Element, finding: Finding) -> None:
    case = ET.SubElement(
        suite, "testcase", {"classname": finding.claim, "name": finding.subject, "time": "0"}
    )
    tag = _TAG.get(finding.status)
    if tag:
        outcome = ET.SubElement(case, tag, {"message": _message(finding)})
        if finding.kind:
            outcome.set("type", printable(finding.kind))
        outcome.text = _details(finding)


def _message(finding: Finding) -> str:
    if finding.status is Status.FAIL:
        return f"does not hold: {BY_ID[finding.claim].sentence}"
    if finding.status is Status.INCONCLUSIVE:
        return printable(text.why_open(finding))
    return printable(finding.looked_at)


def _details(finding: Finding) -> str:
    lines = [f"looked at: {finding.looked_at}"]
    for control in finding.controls:
        found = f"found {control.where}".strip() if control.found else "not found"
        lines.append(f"control: {control.sought}: {found}")
    for piece in finding.evidence:
        lines.append(f"{piece.where}: {piece.what}")
        lines += [f"    {line}" for line in piece.context.lines]
    if finding.status is Status.FAIL:
        lines.append(f"usual causes: {text.causes(BY_ID[finding.claim])}")
    return "\n".join(map(printable, lines))
