"""The witness of headers: a mail as the node makes it passes, and whatever tells more does not."""

from __future__ import annotations

import hashlib
import random
import re

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


EIGHT_BIT = (
    "MIME-Version: 1.0",
    "Content-Type: text/plain; charset=utf-8",
    "Content-Transfer-Encoding: 8bit",
)


def delivered(number: int, *more: str, **changed: str) -> bytes:
    """A mail as alpha delivers it, below the lines of the recipient's host.

    `more` are lines behind its Subject; empty fields are left out.
    """
    fields = {
        "Return-Path": "<>",
        "Received": (
            f"from {ALPHA.domain} ({ALPHA.domain} [{ALPHA.host}])\r\n\tby mail.recipient.test "
            f"(Postfix) with ESMTP id 172CCE06C2\r\n\tfor <bob+{RUN.mark(number, 'r')}"
            "@recipient.test>; Tue, 24 Nov 2026 20:59:00 +0000 (UTC)"
        ),
        "From": f"Anonymous <{ALPHA.address}>",
        "To": f"bob+{RUN.mark(number, 'r')}@recipient.test",
        "Date": "Tue, 24 Nov 2026 00:00:00 +0000",
        "Message-ID": f"<{number:032x}@alpha.remailer.test>",
        "Subject": f"about {RUN.mark(number, 'j')}",
    } | {name.replace("_", "-"): value for name, value in changed.items()}
    lines = [*(f"{name}: {value}" for name, value in fields.items() if value), *more, *EIGHT_BIT]
    return ("\r\n".join(lines) + f"\r\n\r\n{RUN.mark(number, 'b')}\r\nX-Not: a header\r\n").encode()


def behind(mail: bytes, name: str, line: str) -> bytes:
    """The mail with a line more behind the field of that name."""
    return re.sub(
        rf"(?m)^{name}: .*\n(?:[ \t].*\n)*".encode(),
        rb"\g<0>" + line.encode() + b"\r\n",
        mail,
        count=1,
    )


TRACE = delivered(1)[len(b"Return-Path: <>\r\n") :].partition(b"\r\nFrom")[0].decode()
"""What the recipient's host says of where it had the mail from."""


def letter(number: int, mail: bytes, kind: str = "forward", node: str = "alpha") -> Letter:
    return Letter(
        number, kind, (node,) if kind != "direct" else (),
        f"alice+{RUN.mark(number, 's')}@sender.test",
        f"bob+{RUN.mark(number, 'r')}@recipient.test",
        f"about {RUN.mark(number, 'j')}", f"<{RUN.mark(number, 'm')}@sender.test>", b"",
        delivered=[mail],
    )  # fmt: skip


DIRECT = (
    "Return-Path: <alice+{s}@sender.test>\r\n"
    "Received: from mail.sender.test (mail.sender.test [10.193.0.241])\r\n"
    "\tby mail.recipient.test (Postfix) with ESMTP id 24CC2DCDF3\r\n"
    "\tfor <bob+{r}@recipient.test>; Tue, 24 Nov 2026 20:59:00 +0000 (UTC)\r\n"
    "Received: from localhost (unknown [172.24.0.1])\r\n"
    "\tby mail.sender.test (Postfix) with ESMTPA id E4F27DCE53\r\n"
    "\tfor <bob+{r}@recipient.test>; Tue, 24 Nov 2026 20:58:59 +0000 (UTC)\r\n"
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
WHO = RUN.mark(1, "s").encode().hex()


def judged(*letters: Letter) -> Finding:
    return headers.judge_letters(TOPOLOGY, letters, RUN)[0]


@pytest.mark.parametrize(
    ("mail", "kind", "sort"),
    [
        (delivered(1), "forward", ""),
        (delivered(1, Subject=""), "matrix", ""),
        (delivered(1, "MIME-Version: 1.0"), "forward", "form"),
        (delivered(1).replace(b"MIME-Version: 1.0\r\n", b""), "forward", "form"),
        (delivered(1).replace(b"MIME-V", b"miMe-V"), "forward", "form"),
        (delivered(1).replace(b"utf-8", b"UTF-8"), "forward", "header"),
        (delivered(1).replace(b"utf-8", b"iso-8859-1"), "forward", "header"),
        (delivered(1).replace(b"utf-8", b"iso-8859-2718281828"), "forward", "header"),
        (delivered(1).replace(b"8bit", b"7bit"), "forward", "header"),
        (delivered(1).replace(b"text/plain; charset=utf-8", b'multipart/mixed; boundary="20:59"'),
         "forward", "header"),
        (delivered(1, Subject="none"), "matrix", "header"),
        (delivered(1, Subject=""), "forward", "form"),
        (delivered(1, From="Alice <alice@sender.test>"), "forward", "header"),
        (delivered(1, From=ALPHA.address), "forward", "header"),
        (delivered(1, To=f"9f3c2e <bob+{RUN.mark(1, 'r')}@recipient.test>"), "forward", "header"),
        (delivered(1, To=f"<bob+{RUN.mark(1, 'r')}@recipient.test>"), "forward", "header"),
        (delivered(1, To=f"Bob+{RUN.mark(1, 'r')}@recipient.test"), "forward", "header"),
        (delivered(1, To=f"bob+{RUN.mark(1, 'r')}@recipient.test, 9f3c@x.test"), "forward",
         "header"),
        (delivered(1, f"To: bob+{RUN.mark(1, 'r')}@recipient.test"), "forward", "form"),
        (delivered(1, "Reply-To: alice@sender.test"), "forward", "header"),
        (delivered(1, Return_Path="<alice@sender.test>"), "forward", "header"),
        (delivered(1, "Return-Path: <>"), "forward", "header"),
        *((behind(delivered(1), place, f"{name}: {value}"), "forward", "header")
          for place in ("Received", "From", "Content-Transfer-Encoding")
          for name in ("X-Original-To", "Delivered-To")
          for value in ("9f3c2e", WHO, f"bob+{RUN.mark(1, 'r')}@recipient.test")),
        (delivered(1, Message_ID="<2026112420590012.9@alpha.remailer.test>"), "forward",
         "message-id"),
        (delivered(1, Message_ID=f"<{7:032x}@bravo.remailer.test>"), "forward", "message-id"),
        (delivered(1, Message_ID=f"<{MD5}@alpha.remailer.test>"), "forward", "message-id"),
        (delivered(1, Subject="by bravo"), "forward", "header"),
        # The Subject of a mail that was encrypted is nobody's business behind a reply block.
        (delivered(1), "matrix", "header"),
        (delivered(1, Received=""), "forward", "received"),
        *((delivered(1).replace(b"from alpha.remailer.test", was), "forward", "received")
          for was in (b"from bravo.remailer.test", b"from [10.193.0.11]", b"from")),
        *((delivered(1).replace(was.encode(), was_not.encode(), 1), "forward", "received")
          for was, was_not in (
              (ALPHA.host, "10.193.0.12"), ("by mail.recipient.test", "by mail.sender.test"),
              ("ESMTP", "SMTP"), ("ESMTP", "ESMTPS"), ("id 172CCE06C2", "id 9f.3c"),
              ("for <bob", "for <Bob"), ("(Postfix)", "(Postfix) (9f3c)"), ("(UTC)", "(9f3c)"),
              (f"(alpha.remailer.test [{ALPHA.host}])", f"(alpha [{ALPHA.host}])"),
          )),
        (delivered(1).replace(f"({ALPHA.domain} [".encode(), b"(unknown ["), "forward", ""),
        *((behind(delivered(1), place, line), "forward", "received")
          for place in ("Received", "From", "Content-Transfer-Encoding")
          for line in (TRACE, TRACE.replace("172CCE06C2", "9F3C2E"),
                       "Received: from x ([10.9.9.9]) by a.test")),
        (delivered(1, Message_ID=f"<{RUN.mark(1, 'm')}@sender.test>"), "forward", "message-id"),
        (delivered(1, Message_ID=f"<{RUN.mark(5, 'm')}@sender.test>"), "forward", "message-id"),
        *((delivered(1, Date=date), "forward", "date") for date in (
            "Tue, 24 Nov 2026 20:59:00 +0000", "Tue, 24 Nov 2026 00:00:00 -0000",
            "Mon, 23 Nov 2026 00:00:00 +0000", "Wed, 25 Nov 2026 00:00:00 +0000",
            "9f3c2e, 24 Nov 2026 00:00:00 +0000", "24 Nov 2026 00:00:00 +0000",
        )),
        (delivered(1).replace(b"20:59:00", b"00:59:00"), "forward", ""),
        (delivered(1, Date="Mon, 23 Nov 2026 00:00:00 +0000").replace(b"20:59:00", b"00:59:00"),
         "forward", ""),
        (delivered(1).replace(b"\nTo:", b"\nto:"), "forward", "form"),
        (delivered(1).replace(b"Message-ID", b"Message-Id"), "forward", "form"),
        (delivered(1).replace(b"Subject: ", b"SUBJECT: "), "forward", "form"),
        (delivered(1).replace(b"Subject: ", b"Subject:  "), "forward", "form"),
        (delivered(1).replace(b"Date: ", b"Date:  "), "forward", "form"),
        (delivered(1).replace(b"+0000\r\nMess", b"+0000 \r\nMess"), "forward", "form"),
        (delivered(1).replace(b"Date: Tue,", b"Date: Tue,\r\n"), "forward", "form"),
        (delivered(1).replace(b"To: ", b"To:\r\n "), "forward", "header"),
        (delivered(1, "X-Mailer: mine"), "forward", "header"),
        (delivered(1).replace(b"+0000\r\nMess", b"+0000\rX-Log: 9f3c\r\nMess"), "forward", "date"),
        (delivered(1, f"Reply-To: alice+{RUN.mark(1, 's')}@sender.test"), "forward", "header"),
        (delivered(1, f"In-Reply-To: {WHO}"), "forward", "header"),
        (delivered(1, f"In-Reply-To: {RUN.mark(2, 'r')}"), "forward", "header"),
        (TRACE.encode(), "forward", "received"),
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
    start = mail.index(b"Received: from localhost")
    plain.delivered = [mail[:start] + mail[mail.index(b"From:") :]]
    finding = judged(letter(1, delivered(1)), plain)
    assert [c.sought for c in finding.controls if not c.found] == ["an ordinary mail shows its way"]
