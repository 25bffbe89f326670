"""The witness of headers: a mail as the node makes it passes, and whatever tells more does not."""

from __future__ import annotations

import hashlib
import random

import pytest

from testbed.topology import Topology
from testbed.traffic import Letter
from testbed.verdict import Finding, Status
from testbed.wire.canary import Canaries
from testbed.witness import headers

RUN = Canaries.new(random.Random(1))

TOPOLOGY = Topology(nodes=2)
ALPHA = TOPOLOGY.remailers[0]


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def delivered(number: int, *more: str, **changed: str) -> bytes:
    """A mail as alpha delivers it, below the trace lines of the recipient's host."""
    fields = {
        "From": f"Anonymous <{ALPHA.address}>",
        "Date": "Tue, 24 Nov 2026 00:00:00 +0000",
        "Message-ID": f"<{number:032x}@alpha.remailer.test>",
        "Subject": f"about {RUN.mark(number, 'j')}",
        "Received": (
            f"from {ALPHA.domain} ({ALPHA.domain} [{ALPHA.host}])\r\n\tby mail.recipient.test "
            f"(Postfix) with ESMTP id 4XyZ\r\n\tfor <bob+{RUN.mark(number, 'r')}@recipient.test>; "
            "Tue, 24 Nov 2026 20:59:00 +0000 (UTC)"
        ),
    } | {name.replace("_", "-"): value for name, value in changed.items()}
    lines = [
        f"Return-Path: {fields.get('Return-Path', '<>')}",
        f"Delivered-To: bob+{RUN.mark(number, 'r')}@recipient.test",
        f"Received: {fields['Received']}",
        *(line for line in more if line.startswith("Received")),
        f"From: {fields['From']}",
        f"To: bob+{RUN.mark(number, 'r')}@recipient.test",
        *(f"{name}: {fields[name]}" for name in ("Date", "Message-ID", "Subject")),
        *(line for line in more if not line.startswith("Received")),
    ]
    return ("\r\n".join(lines) + f"\r\n\r\n{RUN.mark(number, 'b')}\r\nX-Not: a header\r\n").encode()


def letter(number: int, mail: bytes, kind: str = "forward", node: str = "alpha") -> Letter:
    return Letter(
        number, kind, (node,) if kind != "direct" else (),
        f"alice+{RUN.mark(number, 's')}@sender.test",
        f"bob+{RUN.mark(number, 'r')}@recipient.test",
        f"about {RUN.mark(number, 'j')}", f"<{RUN.mark(number, 'm')}@sender.test>", b"",
        (("MIME-Version", "1.0"),),
        delivered=[mail],
    )  # fmt: skip


DIRECT = (
    "Return-Path: <alice+{s}@sender.test>\r\n"
    "Received: from mail.sender.test (mail.sender.test [10.193.0.241])\r\n"
    "\tby mail.recipient.test (Postfix) with ESMTP id 4Xy; Tue, 24 Nov 2026 20:59:00 +0000\r\n"
    "Received: from laptop (unknown [172.24.0.1]) by mail.sender.test (Postfix) with ESMTPSA\r\n"
    "From: alice+{s}@sender.test\r\nTo: bob+{r}@recipient.test\r\nSubject: about {j}\r\n"
    "Date: Tue, 24 Nov 2026 20:58:59 -0000\r\nMessage-ID: <{m}@sender.test>\r\n"
    "X-Digest: {digest}\r\n\r\nhello\r\n"
)


def direct(number: int = 90) -> Letter:
    marks = {code: RUN.mark(number, code) for code in "srjm"}
    digest = sha256(marks["s"])
    sent = letter(number, DIRECT.format(**marks, digest=digest).encode(), "direct")
    sent.headers = (("X-Digest", digest),)
    return sent


MD5 = hashlib.md5(f"<{RUN.mark(1, 'm')}@sender.test>".encode()).hexdigest()
OTHERS = (
    f"from bravo.remailer.test ({ALPHA.domain} [{ALPHA.host}]) by mail.recipient.test (Postfix)"
)


def judged(*letters: Letter) -> Finding:
    return headers.judge_letters(TOPOLOGY, letters, RUN)[0]


@pytest.mark.parametrize(
    ("mail", "kind", "sort"),
    [
        (delivered(1), "forward", ""),
        (delivered(1, "MIME-Version: 1.0"), "forward", ""),
        (delivered(1, "MIME-Version: 1.1"), "forward", "header"),
        (delivered(1, "Content-Type: text/plain; charset=utf-8"), "forward", ""),
        (delivered(1, "Content-Type: text/plain; charset=utf-7"), "forward", "header"),
        (delivered(1, 'Content-Type: multipart/mixed; boundary="20:59-alice"'), "forward",
         "header"),
        (delivered(1, Subject="none"), "matrix", "header"),
        (delivered(1, From="Alice <alice@sender.test>"), "forward", "header"),
        (delivered(1, From=ALPHA.address), "forward", "header"),
        (delivered(1, "Reply-To: alice@sender.test"), "forward", "header"),
        (delivered(1, Return_Path="<alice@sender.test>"), "forward", "header"),
        (delivered(1, Message_ID="<2026112420590012.9@alpha.remailer.test>"), "forward",
         "message-id"),
        (delivered(1, Message_ID=f"<{7:032x}@bravo.remailer.test>"), "forward", "message-id"),
        (delivered(1, Message_ID=f"<{MD5}@alpha.remailer.test>"), "forward", "message-id"),
        (delivered(1, Subject="by bravo"), "forward", "header"),
        (delivered(1, Received=OTHERS), "forward", "received"),
        # The Subject of a mail that was encrypted is nobody's business behind a reply block.
        (delivered(1), "matrix", "header"),
        (delivered(1, "Received: from x ([10.9.9.9]) by a.test"), "forward", "received"),
        (delivered(1, Received="from b ([10.193.0.12]) by mail.recipient.test"), "forward",
         "received"),
        (delivered(1, Message_ID=f"<{RUN.mark(1, 'm')}@sender.test>"), "forward", "message-id"),
        (delivered(1, Message_ID=f"<{RUN.mark(5, 'm')}@sender.test>"), "forward", "message-id"),
        (delivered(1, Date="Tue, 24 Nov 2026 20:59:00 +0000"), "forward", "date"),
        (delivered(1, Date="Tue, 24 Nov 2026 00:00:00 -0000"), "forward", "date"),
        (delivered(1, Date="Mon, 23 Nov 2026 00:00:00 +0000"), "forward", "date"),
        (delivered(1, Date="Wed, 25 Nov 2026 00:00:00 +0000"), "forward", "date"),
        (delivered(1).replace(b"\nTo:", b"\nto:"), "forward", "form"),
        (delivered(1).replace(b"Message-ID", b"Message-Id"), "forward", "form"),
        (delivered(1).replace(b"Subject: ", b"SUBJECT: "), "forward", "form"),
        (delivered(1).replace(b"Date: ", b"Date:  "), "forward", "form"),
        (delivered(1).replace(b"+0000\r\nMess", b"+0000 \r\nMess"), "forward", "form"),
        (delivered(1).replace(b"Date: Tue,", b"Date: Tue,\r\n"), "forward", "form"),
        (delivered(1, "X-Mailer: mine"), "forward", "header"),
        (delivered(1, f"Reply-To: alice+{RUN.mark(1, 's')}@sender.test"), "forward", "header"),
        (delivered(1, f"In-Reply-To: {RUN.mark(1, 's').encode().hex()}"), "forward", "header"),
        (delivered(1, f"In-Reply-To: {RUN.mark(2, 'r')}"), "forward", "header"),
    ],
)  # fmt: skip
def test_headers(mail: bytes, kind: str, sort: str) -> None:
    finding = judged(letter(1, mail, kind), direct())
    assert (finding.kind, finding.status) == (sort, Status.FAIL if sort else Status.PASS)
    if sort:
        assert finding.evidence[0].where.startswith("letter 1 as delivered, line ")


def test_a_message_id_in_two_mails_tells_that_they_belong_together() -> None:
    same = f"<{1:032x}@alpha.remailer.test>"
    first, second = (letter(n, delivered(n, Message_ID=same)) for n in (1, 2))
    assert judged(first, second, direct()).kind == "message-id"


def test_without_ordinary_mail_or_mail_of_its_own_a_row_is_open() -> None:
    assert judged(letter(1, delivered(1))).status == Status.INCONCLUSIVE
    assert judged(direct()).status == Status.INCONCLUSIVE
    # An ordinary mail that does not show its sender is no control.
    hidden = direct()
    hidden.delivered = [hidden.delivered[0].replace(RUN.prefix.encode(), b"nothing")]
    assert judged(letter(1, delivered(1)), hidden).status == Status.INCONCLUSIVE


@pytest.mark.parametrize("name", ["", "alpha:", "alpha.remailer.test "])
def test_no_line_may_have_a_digest_of_what_the_letter_carries(name: str) -> None:
    digest = sha256(f"{name}{RUN.mark(1, 's')}")
    asked = letter(1, delivered(1, f"X-Told: {digest}"))
    asked.headers = (("X-Told", digest),)
    finding = judged(asked, direct())
    assert finding.kind == "digest"
    assert "sha256" in finding.evidence[0].what
    assert f"|X-Told: {digest[:8]}|" in finding.evidence[0].context.dump[2]


def test_no_line_may_name_the_senders_host_or_another_remailer() -> None:
    for told in ("alice", "sender.test", "bravo", "10.193.0.12"):
        asked = letter(1, delivered(1, f"X-Told: so {told}"))
        asked.headers = (("X-Told", f"so {told}"),)
        assert judged(asked, direct()).kind == "name", told


def test_the_way_of_an_ordinary_mail_is_more_than_the_recipients_own_line() -> None:
    plain = direct()
    mail = plain.delivered[0]
    start = mail.index(b"Received: from laptop")
    plain.delivered = [mail[:start] + mail[mail.index(b"From:") :]]
    finding = judged(letter(1, delivered(1)), plain)
    assert [c.sought for c in finding.controls if not c.found] == ["an ordinary mail shows its way"]
