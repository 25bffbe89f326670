"""Claim `delivered`: what is missing, doubled, altered or uncalled for is evidence."""

from __future__ import annotations

import random

from testbed.topology import Topology
from testbed.traffic import Letter, Plan
from testbed.verdict import Finding, Status
from testbed.wire.canary import Canaries
from testbed.witness import delivery

TOPOLOGY = Topology(nodes=2)


def letters() -> list[Letter]:
    rng = random.Random(1)
    plan = Plan(TOPOLOGY, Canaries.new(rng), rng)
    plan.add("forward", ("alpha",), 1000)
    plan.add("forward", ("bravo",), 1000)
    plan.direct()
    for letter in plan.letters:
        letter.delivered = [b"Subject: s\r\n\r\n" + letter.body]
    return plan.letters


def rows(sent: list[Letter], *unexpected: bytes) -> dict[str, Finding]:
    return {f.subject: f for f in delivery.findings(TOPOLOGY, sent, unexpected)}


def test_all_arrived() -> None:
    assert {f.status for f in rows(letters()).values()} == {Status.PASS}


def test_each_trouble_is_the_nodes_on_the_path_only() -> None:
    for trouble, told in (("missing", "never"), ("doubled", "2 times"), ("altered", "byte 0")):
        sent = letters()
        mail = sent[0].delivered[0]
        sent[0].delivered = {
            "missing": [],
            "doubled": [mail, mail],
            "altered": [mail.replace(sent[0].body[:3], b"xyz")],
        }[trouble]
        found = rows(sent)
        assert found["alpha"].status is Status.FAIL
        assert told in found["alpha"].evidence[0].what
        assert found["bravo"].status is Status.PASS


def test_without_ordinary_mail_nothing_passes() -> None:
    sent = letters()
    sent[-1].delivered = []
    assert {f.status for f in rows(sent).values()} == {Status.INCONCLUSIVE}


def test_mail_that_no_letter_asked_for_is_its_nodes() -> None:
    report = (
        b"Return-Path: <>\r\nReceived: from bravo.remailer.test (bravo.remailer.test [10.193.0.12])"
        b"\r\n\tby mail.recipient.test\r\nTo: bob@recipient.test\r\n\r\n1 mail\r\n"
    )
    found = rows(letters(), report)
    assert found["alpha"].status is Status.PASS
    assert found["bravo"].status is Status.FAIL
    assert "bob@recipient.test" in found["bravo"].evidence[0].what
