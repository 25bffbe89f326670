"""The verdict on nodes beside mail hosts, on real webs: whose logs name what at each stage."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed.claims import CLAIMS, Expected
from testbed.report.progress import Progress
from testbed.report.record import Record
from testbed.topology import Link
from testbed.verdict import Finding, Status
from testbed.verify import verify_web
from webs import WebMaker

pytestmark = [pytest.mark.web, pytest.mark.alone]


def fails(link: Link) -> set[str]:
    return {claim.id for claim in CLAIMS if claim.expected(link, True) is Expected.FAILS}


def check(record: Record, link: Link) -> dict[str, Finding]:
    """Each claim answers as the table expects; the rows of log-hops."""
    assert {row.claim.id: row.status for row in record.rows if not row.as_expected} == {}
    assert record.status == 1
    assert all(mail.delivered for mail in record.mails)
    assert {f.claim for f in record.findings if f.status is Status.FAIL} == fails(link)
    return {f.subject: f for f in record.findings if f.claim == "log-hops"}


@pytest.mark.parametrize(
    ("link", "sender_logs"), [(Link.PORT25, True), (Link.DIRECT25, False)], ids=lambda x: str(x)
)
def test_on_port_25_logs_name_every_hop(
    make_web: WebMaker, out: Path, link: Link, sender_logs: bool
) -> None:
    with make_web(link=link, nodes=3) as web:
        hops = check(verify_web(web, out, 1, Progress(), last=True, claims_only=True), link)
    for subject, finding in hops.items():
        sender, receiver = subject.split(">")
        told = {e.where.partition(":")[0] for e in finding.evidence}
        assert told == ({sender, receiver} if sender_logs else {receiver}), subject
        assert all(", line " in e.where for e in finding.evidence)


def test_with_a_port_of_their_own_the_hosts_log_names_no_hop(make_web: WebMaker, out: Path) -> None:
    with make_web(nodes=3, hosted=True) as web:
        hops = check(
            verify_web(web, out, 1, Progress(), last=True, claims_only=True), web.topology.link
        )
    for finding in hops.values():
        assert finding.status is Status.PASS
        assert all(control.found and "mail.log, line " in control.where
                   for control in finding.controls)  # fmt: skip
