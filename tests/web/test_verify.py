"""The verdict on real webs: with TLS links all claims hold; with plain ones exactly those fail
that the table of claims expects to, each with what was read."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from testbed.claims import CLAIMS, Expected
from testbed.report.progress import Progress
from testbed.topology import Link
from testbed.verdict import Status
from testbed.verify import verify_web
from testbed.web import Web
from webs import WebMaker

pytestmark = pytest.mark.web


def test_every_claim_holds_on_the_default_web(web: Web, out: Path) -> None:
    record = verify_web(web, out, seed=1, progress=Progress())
    assert [f for f in record.findings if f.status is not Status.PASS] == []
    assert record.status == 0
    assert record.as_expected
    assert all(mail.delivered for mail in record.mails)
    assert {row.claim.id for row in record.rows} == {claim.id for claim in CLAIMS}
    assert sum(timing.seconds for timing in record.timings) < 60


def test_a_second_verdict_on_the_same_web_is_the_same(web: Web, out: Path) -> None:
    record = verify_web(web, out, seed=2, progress=Progress())
    assert [f for f in record.findings if f.status is not Status.PASS] == []
    verdict = json.loads((out / "verdict.json").read_text())
    suite = ElementTree.parse(out / "junit.xml").getroot()
    cases = list(suite.iter("testcase"))
    assert len(cases) == len(record.findings) == len(verdict["findings"])
    assert "<svg" in (out / "report.html").read_text()
    assert (out / "web.pcapng").stat().st_size > 1_000_000


def test_plain_links_fail_as_the_table_expects_with_the_bytes_that_were_read(
    make_web: WebMaker, out: Path
) -> None:
    with make_web(link=Link.SMTP) as web:
        record = verify_web(web, out, seed=1, progress=Progress(), last=True)
    wrong = {row.claim.id: row.status for row in record.rows if not row.as_expected}
    assert wrong == {}
    assert record.status == 1
    fails = {claim.id for claim in CLAIMS if claim.expected(Link.SMTP) is Expected.FAILS}
    assert fails == {f.claim for f in record.findings if f.status is Status.FAIL}
    for finding in record.findings:
        if finding.claim == "link-canary":
            assert any("frame" in evidence.where for evidence in finding.evidence), finding
