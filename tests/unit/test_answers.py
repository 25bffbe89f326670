"""Requests: what is answered, to whom, and to whom never (RFC 3834)."""

from __future__ import annotations

import email
import random
import re

import pytest
from remailers import directory, key
from toy import ME, NOW, TO, mail, toy_decrypt, toy_encrypt

from remailer import answers, message
from remailer.blocked import Blocked
from remailer.errors import Dropped
from remailer.message import Outgoing
from remailer.peelers import Peelers
from remailer.rules import Rules, capabilities

RULES = Rules(
    name="alpha",
    certificate=directory().remailers[0].openpgp,
    blocked=Blocked(frozenset({"refused.test"}), frozenset({"flood.test"})),
    remailers=frozenset(peer.domain for peer in directory().remailers),
)


def read(raw: bytes, rules: Rules = RULES) -> tuple[Outgoing, ...]:
    return message.read(
        raw, me=ME, decrypt=toy_decrypt, encrypt=toy_encrypt, now=NOW,
        rng=random.Random(1), rules=rules,
    )  # fmt: skip


def ask(subject: bytes, *more: bytes, sender: bytes = b"From: Ada <ada@sender.test>") -> bytes:
    return b"\r\n".join([sender, b"Subject: " + subject, *more, b"", b"please\r\n"])


def test_the_capability_line_is_one_that_pingers_read() -> None:
    line = capabilities(RULES, ME)
    assert line == (
        '$remailer{"alpha"} = "<remailer@alpha.remailer.test> '
        'cpunk pgp latent hash cut ek max inflt50 klen4096";'
    )
    assert " pgp pgponly latent " in capabilities(Rules("alpha", pgponly=True), ME)
    # As in the clients of the field: $remailer{"name"} = "<address> words";
    assert re.fullmatch(r'\$remailer\{"([a-z]+)"\} = "<([^>]+)>((?: [a-z0-9]+)+)";', line)


@pytest.mark.parametrize(
    ("subject", "within"),
    [
        (b"remailer-help", "Refused, without a word"),
        (b"Remailer-Help", "IDEA"),
        (b" remailer-key ", "-----BEGIN PGP PUBLIC KEY BLOCK-----"),
        (b"remailer-conf", "4096 kB"),
        (b"remailer-stats", "keeps no statistics"),
        (b"\r\n remailer-key", "-----BEGIN PGP PUBLIC KEY BLOCK-----"),
        (b"\x1cremailer-key\x1f", "-----BEGIN PGP PUBLIC KEY BLOCK-----"),
    ],
)
def test_a_request_is_answered(subject: bytes, within: str) -> None:
    (out,) = read(ask(subject, b"Message-ID: <1@sender.test>"))
    made = email.message_from_bytes(out.mail)
    assert (out.recipient, made["To"], out.answer) == ("ada@sender.test", "ada@sender.test", True)
    assert made["Auto-Submitted"] == "auto-replied"
    assert made["In-Reply-To"] == made["References"] == "<1@sender.test>"
    assert made["Subject"].lower() == "re: " + subject.decode().strip().lower()
    assert within in made.get_payload()
    assert capabilities(RULES, ME) in made.get_payload()
    assert b"please" not in out.mail, "nothing of the mail but its Message-ID is repeated"
    assert answers.asked_by(ask(subject))


def test_the_answer_goes_to_reply_to_if_there_is_one() -> None:
    (out,) = read(ask(b"remailer-key", b"Reply-To: pinger@stats.test"))
    assert out.recipient == "pinger@stats.test"


@pytest.mark.parametrize(
    "raw",
    [
        *(ask(b"remailer-key", line) for line in (
            b"Auto-Submitted: auto-generated", b"Auto-Submitted: auto-replied; x=y",
            b"Precedence: bulk", b"Precedence: LIST", b"Precedence: junk",
            b"List-Id: <l.test>", b"List-Unsubscribe: <mailto:x@y.test>", b"Return-Path: <>",
            b"X-Loop: " + ME.encode(), b"Reply-To: a@x.test, b@x.test", b"Reply-To: nobody",
        )),
        *(ask(b"remailer-key", sender=b"From: " + who) for who in (
            ME.encode(), b"remailer@bravo.remailer.test", b"x@BRAVO.remailer.test",
            b"MAILER-DAEMON@sender.test", b"owner-list@sender.test", b"list-request@sender.test",
            b"list-owner@sender.test", b"l-bounces@sender.test", b"postmaster@sender.test",
            b"a@refused.test", b"a@flood.test", b"", b"a@x.test, b@x.test", b"<a%b@x.test>",
        )),
        ask(b"remailer-keys"), ask(b"remailer-help please"), ask(b"help"),
        ask(b"remailer-key", b"Subject: remailer-key"),
    ],
)  # fmt: skip
def test_nobody_else_is_answered(raw: bytes) -> None:
    with pytest.raises(Dropped):
        read(raw)


def test_a_mail_that_is_not_automatic_says_so() -> None:
    assert len(read(ask(b"remailer-key", b"Auto-Submitted: no", b"Precedence: first-class"))) == 1


def test_what_is_in_the_request_can_not_get_into_the_answers_header() -> None:
    (out,) = read(ask(b"remailer-key", b"Message-ID: <a b>\r\n <c>"))
    assert b"In-Reply-To" not in out.mail


def test_a_fixed_number_is_answered_a_day() -> None:
    allowance = answers.Allowance()
    assert sum(allowance.take(7) for _ in range(answers.A_DAY + 50)) == answers.A_DAY
    assert allowance.take(8)


def test_blocked_sources_are_dropped_and_blocked_destinations_left_out() -> None:
    text = b"::\r\nAnon-To: a@refused.test, bob@recipient.test, c@sub.Refused.test\r\n\r\nhi\r\n"
    assert [out.recipient for out in read(mail(text))] == ["bob@recipient.test"]
    assert len(read(mail(text), Rules())) == 3
    only_refused = text.replace(b", bob@recipient.test", b"")
    flood = mail(TO + b"hi\r\n").replace(b"alice@sender.test", b"Al <AL@flood.test>")
    for raw in (mail(only_refused), flood, flood.replace(b"From: ", b"From: x@y.test\r\nSender: ")):
        with pytest.raises(Dropped):
            read(raw)
    assert len(read(flood, Rules())) == 1


async def test_what_is_known_of_a_mail_comes_out_of_the_worker_with_it() -> None:
    peelers = Peelers(key("alpha"), ME, RULES, workers=1)
    await peelers.start()
    try:
        (answer,) = await peelers.peel(ask(b"remailer-key"))
        (late,) = await peelers.peel(mail(TO[:-2] + b"Latent-Time: +2:00\r\n\r\nhi\r\n"))
        assert await peelers.peel(mail(b"::\r\nAnon-To: a@refused.test\r\n\r\nhi\r\n")) == ()
    finally:
        await peelers.stop()
    assert (answer.answer, answer.latent, answer.use) == (True, 0, None)
    assert (late.answer, late.latent, late.use) == (False, 7200, None)
