"""What a node could choose on the wire: a clean edge passes, each choice is named at its node."""

from __future__ import annotations

import itertools
import random
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import dns.asyncquery
import dns.message
import dns.name
import pytest
from edge_rows import GIVEN, OF_IP, Edge, changed
from test_listener import DOMAIN, ME
from test_starttls import serving

from remailer.delivery import LINGER_SECONDS
from remailer.message import MAX_MAIL
from remailer.resolver import Resolver
from remailer.starttls import HostKey
from testbed.topology import Link
from testbed.verdict import Finding, Status
from testbed.wire import choices, grammar, law, lookups
from testbed.wire.capture import CaptureFile
from testbed.wire.packets import CLIENT_HELLO, wire

WHOLE = CaptureFile(Path("web.pcapng"), {}, {}, complete=True)
NO_QUESTION = {"payload": b"\0\0\x84\0" + bytes(8) + b"sealed", "target_port": 53}
CLAIMS = ("dns-late", "smtp-talk", "wire-fields", "delays")


def look(
    edge: Edge, capture: CaptureFile = WHOLE, given: Mapping[str, Collection[str]] = GIVEN
) -> dict[tuple[str, str], Finding]:
    found = choices.findings(edge.wire(), edge.topology, edge.letters, capture, given)
    assert len(found) == len(CLAIMS) * 2
    return {(f.claim, f.subject): f for f in found}


def told(finding: Finding) -> str:
    return " | ".join(f"{e.where} {e.what}" for e in finding.evidence)


def test_a_clean_edge_passes() -> None:
    for finding in look(Edge()).values():
        missing = [c.sought for c in finding.controls if not c.found]
        assert (finding.status, missing, told(finding)) == (Status.PASS, [], ""), finding


def test_what_was_said_before_the_run_is_not_held_against_its_letters() -> None:
    edge = Edge()
    wire = edge.wire()
    alpha = edge.alpha.host
    first = next(s for s in wire.streams if s.client == alpha and s.server_port == 25)
    began = next(p.time for p in wire.packets if p.frame == first.frame) + 0.001
    for since, status in ((0.0, Status.FAIL), (began, Status.PASS)):
        whom = [x for x in edge.letters if x.domain.encode() not in first.sent.data]
        found = choices.findings(wire, edge.topology, whom, WHOLE, GIVEN, since)
        talk = next(f for f in found if (f.claim, f.subject) == ("smtp-talk", "alpha"))
        assert talk.status is status, told(talk)


@pytest.mark.parametrize(
    ("edge", "claim", "shows"),
    [
        (Edge(early=0.4), "dns-late", "n0019.recipient.test MX: no mail"),
        (Edge(early=3.0), "dns-late", "n0019.recipient.test MX: no mail"),
        (Edge(name="N0019.recipient.test"), "dns-late", "N0019.recipient.test MX: no mail"),
        (Edge(name="616c696365.test"), "dns-late", "616c696365.test MX: no mail"),
        (Edge(number=0x1234), "dns-late", "the kernel gave the node no number 0x1234"),
        (Edge(kinds=(15, 28, 1)), "dns-late", "mail.recipient.test AAAA: no mail"),
        (Edge(kinds=(1, 15, 28)), "dns-late", "without its look-ups: A, AAAA"),
        (Edge(kinds=(15, 1)), "dns-late", "without its look-ups: AAAA"),
        (Edge(kinds=(15, 1, 1, 28)), "dns-late", "mail.recipient.test A: no mail"),
        (
            Edge(behind=b"\x17"),
            "dns-late",
            "asked otherwise: 17 at byte 49, where every node has nothing",
        ),
        (Edge(loose=NO_QUESTION), "dns-late", "no question to the resolver: udp"),
        (Edge(loose={"payload": b"short", "target_port": 53}), "dns-late", "udp 'short'"),
        (Edge(loose={"protocol": "tcp", "target_port": 53, "flags": 16}), "dns-late", ": tcp ''"),
        (Edge(loose={"protocol": "icmp", "icmp_type": 3}), "dns-late", ": icmp ''"),
        (Edge(quits=False, last=30.0), "smtp-talk", "where every node says QUIT"),
        (Edge(cut_off=True), "smtp-talk", "hung up after '250 2.0.0 OK', where every node waits"),
        (Edge(greeting="220 {me} ESMTP {number}\r\n"), "smtp-talk", "ESMTP 0"),
        (Edge(taken=b"250 2.0.0 Ok\r\n"), "smtp-talk", "250 2.0.0 Ok"),
        (Edge(size=3), "smtp-talk", "SIZE="),
        (Edge(pieces=True), "smtp-talk", "a mail of 18 bytes in pieces"),
        (
            Edge(mail=b"To: b\r\n\r\n.text\r\n"),
            "smtp-talk",
            "a mail with '.text', where every node has 'text'",
        ),
        (Edge(mail=b".To: b\r\n\r\n..t\r\n"), "smtp-talk", "'.To: b  ..t', where every node has"),
        (Edge(mail=b"To: b\n\r\ntext\r\n"), "smtp-talk", "'To: b\\x0a text', where every node has"),
        (Edge(of_ip=changed(OF_IP, 0, "63")), "wire-fields", "ip.ttl 63, else 64"),
        (Edge(of_ip=changed(OF_IP, 1, "0x04")), "wire-fields", "ip.dsfield 0x04, else 0x00"),
        (Edge(bound=True), "wire-fields", "source port "),
        (Edge(tls=("0x0302",)), "wire-fields", "ClientHello: tls.record.version 0x0302"),
        (Edge(reply_after=0.3), "delays", "replies took longer"),
        (Edge(mail_after=0.2), "delays", "20 of 20 mails after 354 took longer"),
        (Edge(ends_after=0.2), "delays", "20 of 20 ends after 221 took longer"),
        (Edge(asks_after=0.2), "delays", "60 of 60 look-ups took longer"),
        (Edge(delays=[0.4, 1.6] * 10), "delays", "few symbols"),
        (Edge(delays=[5 + 0.3 * i for i in range(20)]), "delays", "not exponential"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_choice_is_named_at_its_node(edge: Edge, claim: str, shows: str) -> None:
    found = look(edge)
    failed = {key for key, finding in found.items() if finding.status is Status.FAIL}
    assert failed == {(claim, "alpha")}
    assert shows in told(found[claim, "alpha"])


@pytest.mark.parametrize(
    ("edge", "claim"),
    [
        (Edge(twins=False), "dns-late"),
        (Edge(queue="250 2.0.0 Ok\r\n"), "smtp-talk"),
        (Edge(odd=False), "wire-fields"),
        (Edge(mails=5), "delays"),
    ],
    ids=CLAIMS,
)
def test_without_its_twin_a_row_is_inconclusive(edge: Edge, claim: str) -> None:
    for (about, _), finding in look(edge).items():
        expected = Status.INCONCLUSIVE if about == claim else Status.PASS
        assert finding.status is expected, finding


def test_who_asks_for_more_numbers_than_he_has_questions_may_choose() -> None:
    used, others = ["77aa" + "00" * 6], [f"{number:016x}" for number in range(99)]
    found = look(Edge(), given=GIVEN | {"alpha": used + others})["dns-late", "alpha"]
    assert found.status is Status.FAIL
    assert "100 numbers for 60 questions" in told(found)
    # What was taken before the first question is of other runs over the same web.
    found = look(Edge(), given=GIVEN | {"alpha": others + used})["dns-late", "alpha"]
    assert found.status is Status.PASS


def test_a_node_that_asks_the_kernel_for_no_such_numbers_makes_its_own() -> None:
    found = look(Edge(), given=GIVEN | {"alpha": ["00" * 16]})["dns-late", "alpha"]
    assert found.status is Status.FAIL


def test_without_the_kernel_s_numbers_nothing_is_said_of_look_ups() -> None:
    found = look(Edge(), given={"bravo": GIVEN["bravo"]})
    assert found["dns-late", "alpha"].status is Status.INCONCLUSIVE
    assert found["dns-late", "bravo"].status is Status.PASS


def test_on_a_capture_that_dropped_nothing_is_claimed() -> None:
    capture = CaptureFile(Path("web.pcapng"), {}, {}, complete=False, why="3 packets dropped")
    assert {f.status for f in look(Edge(), capture).values()} == {Status.INCONCLUSIVE}


def test_nothing_was_captured_at_all() -> None:
    edge = Edge()
    edge.events, edge.talks = [], []
    assert {f.status for f in look(edge).values()} == {Status.INCONCLUSIVE}


def test_look_ups_of_conversations_that_overlap_are_each_for_one() -> None:
    """All ask for the same host's address, and a later one may begin before an earlier's."""
    edge = Edge(delays=[1.0] * 20, together=True)
    assert told(look(edge)["dns-late", "alpha"]) == ""


@pytest.mark.parametrize(
    ("says", "patience", "shows"),
    [
        (b"220 mail.recipient.test\r\n", 0.5, "hung up after '220 mail.recipient.test', where"),
        (b"", 0.5, "hung up after 0.5 s without a greeting, where every node waits"),
        (b"", 20.5, ""),
        (b"421 busy\r\n", 0.5, ""),
    ],
)
def test_who_hangs_up_without_a_mail_was_refused(says: bytes, patience: float, shows: str) -> None:
    found = look(Edge(empty=says, patience=patience))
    assert shows in told(found["smtp-talk", "alpha"])
    assert found["smtp-talk", "alpha"].status is (Status.FAIL if shows else Status.PASS)
    assert "without its look-ups: MX" in told(found["dns-late", "alpha"])


def test_where_the_capture_ends_a_conversation_need_not() -> None:
    assert look(Edge(quits=False))["smtp-talk", "alpha"].status is Status.PASS


def test_a_question_that_nobody_answered_is_asked_again() -> None:
    for lost, shows in ((False, "mail.recipient.test A: no mail"), (True, "")):
        found = look(Edge(kinds=(15, 1, 1, 28), lost=lost))["dns-late", "alpha"]
        assert shows in told(found)
        assert found.status is (Status.PASS if lost else Status.FAIL)


def test_a_kernel_says_that_an_answer_came_late() -> None:
    edge = Edge(loose={"protocol": "icmp", "icmp_type": 3}, kinds=(15, 1, 1, 28), lost=True)
    assert told(look(edge)["dns-late", "alpha"]) == ""


def test_each_letter_has_a_conversation_of_its_own() -> None:
    edge = Edge()
    two = edge.letters[:2]
    said = next(said for _, client, _, said, _ in edge.talks if client == edge.alpha.host)
    more = [(b"RCPT TO:<%b>\r\n" % two[1].recipient.encode(), b"250 2.1.5 Ok\r\n")]
    said[4:4] = more
    shows = f"for {two[0].domain}, {two[1].domain}, where each has its own"
    assert shows in told(look(edge)["dns-late", "alpha"])


async def test_the_question_is_the_remailers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Byte for byte, but for its number."""
    said: list[bytes] = []

    async def send(query: dns.message.Message, *_: object, **__: object) -> object:
        said.append(query.to_wire())
        return query, False

    monkeypatch.setattr(dns.asyncquery, "udp_with_fallback", send)
    await Resolver("127.0.0.1")._answer(dns.name.from_text("a.recipient.test"), "AAAA")
    asked = lookups.Question(1, 0.0, "a.recipient.test", 28, said[0], answered=0.1)
    assert list(lookups._otherwise([asked])) == []
    assert list(lookups._otherwise([replace(asked, said=said[0][:-1])]))


async def test_the_grammar_is_the_remailers() -> None:
    """Each reply, from a listener that says what a node's does on port 25."""
    said = {
        "EHLO": "EHLO x", "HELO": "HELO x", "MAIL": "MAIL FROM:<a@b.test>",
        "RCPT": f"RCPT TO:<{ME}>", "DATA": "DATA", ".": "Subject: x\r\n\r\ny\r\n.",
        "RSET": "RSET", "NOOP": "NOOP", "STARTTLS": "STARTTLS",
    }  # fmt: skip
    async with serving(HostKey.make(DOMAIN)) as served:
        talk = await served.talk()
        for verb, line in said.items():
            last = grammar.SERVER[verb].format(me=DOMAIN).splitlines()[-1]
            assert await talk.say(line) == last, verb
        quits = await served.talk()
        assert await quits.say("QUIT") == grammar.SERVER["QUIT"].strip()
    assert f"SIZE {MAX_MAIL}\r\n" in grammar.SERVER["EHLO"]
    assert LINGER_SECONDS == 2.0


def test_a_dot_that_begins_a_line_is_doubled() -> None:
    assert told(look(Edge(mail=b"To: b\r\n\r\n..\r\n...\r\n"))["smtp-talk", "alpha"]) == ""


def test_who_stays_when_all_is_said_is_named() -> None:
    found = look(Edge(ends_after=2.5))
    failed = {key for key, finding in found.items() if finding.status is Status.FAIL}
    assert failed == {("smtp-talk", "alpha"), ("delays", "alpha")}
    assert "stayed for 2.5 s after '221 2.0.0 Bye'" in told(found["smtp-talk", "alpha"])


def test_who_was_reset_hangs_up_no_more() -> None:
    for resets, shows in ((False, "stayed for "), (True, "")):
        found = look(Edge(ends_after=-1.0, resets=resets, last=60.0))["smtp-talk", "alpha"]
        assert shows in told(found)
        assert found.status is (Status.PASS if resets else Status.FAIL)


def test_where_the_capture_ends_nobody_needs_to_hang_up() -> None:
    edge = Edge(quits=False)
    whole = edge.wire()
    last = max((s for s in whole.streams if s.ends[0]), key=lambda s: s.ends[0])
    cut = wire([p for p in whole.packets if p.frame < last.ends[0]])
    found = choices.findings(cut, edge.topology, edge.letters, WHOLE, GIVEN)
    assert {told(f) for f in found if f.claim == "smtp-talk"} == {""}


def test_a_refused_mail_may_be_taken_back() -> None:
    """RSET after 4xx and 5xx, and nowhere else."""
    refused = Edge(queue="452 4.3.1 full\r\n", after=b"RSET\r\n")
    assert told(look(refused)["smtp-talk", "alpha"]) == ""
    assert "RSET" in told(look(Edge(after=b"RSET\r\n"))["smtp-talk", "alpha"])


@pytest.mark.parametrize("n", [10, 15, 30])
def test_the_pools_law_is_not_rejected_by_chance(n: int) -> None:
    """Whatever the node takes besides, at most as often as is said."""
    rng = random.Random(n)
    for _ in range(300):
        delays = [rng.expovariate(1) + rng.uniform(0.02, 1.5) for _ in range(n)]
        assert law.p_law(delays, 1.0, 2.0) > 1e-4
        assert law.p_symbols(delays, 1.0) > 1e-4


def test_two_symbols_are_found_among_fifteen_delays() -> None:
    rng = random.Random(1)
    for _ in range(50):
        delays = [rng.choice((0.4, 1.6)) + rng.uniform(0.02, 0.12) for _ in range(15)]
        assert law.p_symbols(delays, 1.0) < 1e-5


def test_windows_are_laid_where_most_is() -> None:
    rng = random.Random(2)
    for _ in range(200):
        times = sorted(rng.uniform(0, 2) for _ in range(9))
        inside = [{i for i, t in enumerate(times) if b <= t <= b + 0.3} for b in times]
        most = max(len(a | b) for a, b in itertools.combinations(inside, 2))
        assert law._covered(times, 2, 0.3) == most


def test_holm_stops_at_the_first_that_stands() -> None:
    assert law.holm([1e-6, 0.5, 4e-5], alpha=1e-4) == [True, False, True]
    assert law.holm([4e-5, 4e-5, 6e-5], alpha=1e-4) == [False, False, False]


@pytest.mark.parametrize(
    ("link", "status"), [(Link.CELLS, Status.INCONCLUSIVE), (Link.SMTP, Status.PASS)]
)
def test_where_links_speak_no_tls_a_node_only_answers_hellos(link: Link, status: Status) -> None:
    """It is asked to, after STARTTLS; its own hello as a client is missed where links have one."""
    edge = Edge()
    wire, own = edge.wire(), {node.host for node in edge.topology.remailers}
    packets = [
        p
        for p in wire.packets
        if not (p.hello and p.hello.kind == CLIENT_HELLO and p.source in own)
    ]
    found = choices.findings(
        replace(wire, packets=packets),
        replace(edge.topology, link=link), edge.letters, WHOLE, GIVEN,
    )  # fmt: skip
    fields = next(f for f in found if (f.claim, f.subject) == ("wire-fields", "alpha"))
    assert fields.status is status, [c for c in fields.controls if not c.found]
