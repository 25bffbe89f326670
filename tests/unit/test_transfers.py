"""Mails over a link are counted without opening it: those that nobody sent are seen."""

from __future__ import annotations

from pathlib import Path

import pytest
from wire_rows import Sample, record

from remailer import listener
from testbed.topology import LINK_PORT, Link
from testbed.verdict import Control, Finding, Status
from testbed.wire import transfers
from testbed.wire.records import SEALING

WHOLE = Control("the capture is complete", found=True)
ALL = len(transfers.GO_AHEAD)


def conversation(sample: Sample, mails: int) -> None:
    """A link's connection from alpha to bravo in which so many mails are handed over."""
    if sample.link is Link.SMTP:
        replies = [
            b"220 bravo\r\n",
            *([b"250 yes\r\n", transfers.GO_AHEAD, b"250 yes\r\n"] * mails),
        ]
    else:
        replies = [record(22, 1200) + record(20, 1) + record(23, 900)]
        for _ in range(mails):
            replies += [record(23, size + SEALING) for size in (14, ALL, 14)]
    sent = [b"\x16" + bytes(9)] * len(replies)
    sample.tape.tcp(sample.alpha.host, sample.bravo.host, LINK_PORT, sent, replies)


def look(sample: Sample, whole: Control = WHOLE) -> Finding:
    found = transfers.findings(sample.tape.wire(), sample.topology, sample.letters, whole)
    assert [f.subject for f in found] == ["alpha>bravo", "bravo>alpha"]
    return found[0]


@pytest.mark.parametrize("link", [Link.SMTP, Link.TLS])
@pytest.mark.parametrize(
    ("mails", "status"),
    [(0, Status.INCONCLUSIVE), (1, Status.PASS), (2, Status.FAIL), (9, Status.FAIL)],
)
def test_mails_are_counted(link: Link, mails: int, status: Status) -> None:
    sample = Sample(link)
    conversation(sample, mails)
    finding = look(sample)
    assert finding.status is status
    if mails > 1:
        assert f"{mails} mails; 1 letters of this run go this way" in finding.evidence[0].what


def test_mail_from_before_the_run_is_not_counted() -> None:
    sample = Sample()
    conversation(sample, 2)
    began = sample.tape.packets[-1].time + 0.001
    conversation(sample, 1)
    (row, _) = transfers.findings(sample.tape.wire(), sample.topology, sample.letters, WHOLE, began)
    assert (row.status, row.looked_at) == (Status.PASS, "1 mails handed over, 1 sent that way")


def test_a_capture_with_a_hole_proves_nothing() -> None:
    sample = Sample()
    conversation(sample, 1)
    assert look(sample, Control("complete", found=False)).status is Status.INCONCLUSIVE


def test_the_reply_that_is_counted_is_what_the_listener_says() -> None:
    source = Path(listener.__file__).read_bytes()
    assert transfers.GO_AHEAD.strip() in source
