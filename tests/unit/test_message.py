"""remailer.message: any bytes become outgoing mails or Dropped."""

from __future__ import annotations

import base64
import email
import quopri
import time
from collections.abc import Iterator

import pytest
from toy import TO, armour, encrypted, mail, only, read

from remailer.directives import MAX_LINES
from remailer.errors import Dropped
from remailer.message import MAX_LAYERS, MAX_MAIL
from remailer.mime import MAX_MULTIPARTS
from remailer.openpgp import Opened
from remailer.outgoing import Outgoing
from remailer.rules import MAX_BLOCKS, MAX_OPENED


@pytest.mark.parametrize(("kilobytes", "goes"), [(100, True), (200, False)])
def test_a_small_mail_does_not_become_much(kilobytes: int, goes: bool) -> None:
    to = b"::\r\nAnon-To: " + b",".join(b"%d@x.test" % n for n in range(5)) + b"\r\n\r\n"
    lines = Opened(to + (b"x" * 62 + b"\r\n") * 16 * kilobytes, bytes(32))
    small = mail(encrypted(b"zip"))
    large = mail(encrypted(b"zip" * 40_000))
    assert len(read(large, lambda _: lines)) == 5
    if goes:
        assert len(read(small, lambda _: lines)) == 5
    else:
        with pytest.raises(Dropped, match="too many mails"):
            read(small, lambda _: lines)


def test_a_delivered_mail_says_only_this() -> None:
    (out,) = read(mail(encrypted(TO + b"##\r\nSubject: hello\r\n\r\nHi,\r\nBob\r\n")))
    (again,) = read(mail(encrypted(TO + b"Hi\r\n")), seed=2)
    head, body = out.mail.split(b"\r\n\r\n")
    assert out.recipient == "bob@recipient.test"
    assert head.split(b"\r\n") == [
        b"From: Anonymous <remailer@alpha.remailer.test>",
        b"To: bob@recipient.test",
        b"Date: Tue, 25 Aug 2026 00:00:00 +0000",
        b"Message-ID: <cd613e30d8f16adf91b7584a2265b1f5@alpha.remailer.test>",
        b"Subject: hello",
    ]
    first = email.message_from_bytes(out.mail)["Message-ID"]
    assert first.endswith("@alpha.remailer.test>")
    assert len(first) == len("<@alpha.remailer.test>") + 32
    assert first != email.message_from_bytes(again.mail)["Message-ID"]
    assert body == b"Hi,\r\nBob\r\n"


@pytest.mark.parametrize(
    "directive", [b"Anon-To", b"Request-Remailing-To", b"remail-to", b"ANON-SEND-TO"]
)
def test_synonyms_in_header_or_pasted(directive: bytes) -> None:
    line = directive + b": bob@recipient.test"
    for raw in (
        mail(b"text\r\n", line),
        mail(b"\r\n  \r\n:: \r\n" + line + b"\r\n\r\ntext\r\n"),
        mail(encrypted(line + b"\r\n\r\ntext\r\n")),
        mail(
            encrypted(b"::\r\nX-Unknown: y\r\nLatent-Time: +1:00\r\n" + line + b"\r\n\r\ntext\r\n")
        ),
    ):
        (out,) = read(raw)
        assert out.recipient == "bob@recipient.test"
        assert out.mail.endswith(b"\r\n\r\ntext\r\n")


def test_recipients_repeated_and_with_commas_each_get_a_mail_of_their_own() -> None:
    outs = read(
        mail(b"::\r\nAnon-To: a@x.test, b@x.test\r\nAnon-To: c@x.test,a@x.test\r\n\r\nhi\r\n")
    )
    assert [out.recipient for out in outs] == ["a@x.test", "b@x.test", "c@x.test"]
    assert len({email.message_from_bytes(out.mail)["Message-ID"] for out in outs}) == 3
    assert all(b"To: " + out.recipient.encode() + b"\r\n" in out.mail for out in outs)
    assert sum(b"b@x.test" in out.mail for out in outs) == 1


def test_blocks_follow_one_another_until_one_is_the_next_remailers() -> None:
    _, body = only(mail(b"::\r\nX-One: 1\r\n\r\n" + TO + b"::\r\nLatent-Time: +1:00\r\n\r\nhi\r\n"))
    assert body == b"hi\r\n"
    inner = encrypted(b"not for me")
    _, body = only(mail(encrypted(TO + inner)))
    assert body == inner
    _, body = only(mail(TO + b"::\r\nAnon-To: c@x.test\r\n\r\nhi\r\n"))
    assert body == b"::\r\nAnon-To: c@x.test\r\n\r\nhi\r\n"


@pytest.mark.parametrize(
    "tail", [b"", b"hi\r\n", b"\r\n\r\nhi\r\n", b" .\r\n..\r\n::\r\nNull:\r\n\r\n"]
)
def test_the_tail_is_appended_unchanged(tail: bytes) -> None:
    _, body = only(mail(encrypted(TO + b"##\r\n\r\nfirst\r\n", tail)))
    assert body == b"first\r\n" + tail
    _, body = only(mail(encrypted(TO + b"##\r\n\r\n", tail)))
    assert body == tail


def test_a_second_message_is_the_tail_of_the_first() -> None:
    second = armour(b"for bob")
    _, body = only(mail(encrypted(TO, second)))
    assert body == second


def test_the_outer_subject_is_passed_on_only_in_clear() -> None:
    assert b"Subject: outer" in only(mail(TO + b"hi\r\n"))[0]
    assert b"Subject: outer" not in only(mail(encrypted(TO + b"hi\r\n")))[0]
    head, _ = only(mail(TO + b"##\r\nSubject: inner\r\n\r\nhi\r\n"))
    assert [line for line in head if line.startswith(b"Subject")] == [b"Subject: inner"]


NOT_TAKEN = (
    b"Received: x|Sender: x|Return-Path: x|X-Loop: x|From: x|To: x|Cc: x|Bcc: x|Date: x|"
    b"Message-ID: x|Resent-To: x|Delivered-To: x|X-Original-To: x|Errors-To: x|"
    b"DKIM-Signature: x|ARC-Seal: x|SENDER : x|Sender:x|X-Eight: \xe4|X-Long: " + b"x" * 999
).split(b"|")


@pytest.mark.parametrize("line", NOT_TAKEN, ids=lambda line: line[:16].decode("latin-1"))
def test_headers_that_are_not_taken(line: bytes) -> None:
    block = b"##\r\nSubject: s\r\n" + line + b"\r\n continued\r\nReply-To: r\r\n\r\nhi\r\n"
    head, body = only(mail(encrypted(TO + block)))
    assert head[4:] == [b"Subject: s", b"Reply-To: r"]
    assert body == b"hi\r\n"


def test_a_header_is_taken_folded_and_once() -> None:
    block = b"##\r\nSubject: a\r\n b\r\nsubject: c\r\nno header\r\nX-Y: z\r\n\r\nhi\r\n"
    head, body = only(mail(encrypted(TO + block)))
    assert head[4:] == [b"Subject: a", b" b"]
    assert body == b"no header\r\nX-Y: z\r\n\r\nhi\r\n"


SIX = b",".join(b"u%d@x.test" % i for i in range(6))
DROPPED = {
    "empty": b"",
    "no directive": mail(b"just text\r\n"),
    "no recipient": mail(b"::\r\nAnon-To:\r\n\r\nhi"),
    "six recipients": mail(b"::\r\nAnon-To: " + SIX + b"\r\n\r\nhi"),
    "to itself": mail(b"::\r\nAnon-To: x@ALPHA.remailer.test\r\n\r\nhi"),
    "X-Loop": mail(TO + b"hi", b"X-Loop: <Remailer@alpha.remailer.test>"),
    "no PGP message": mail(b"::\r\nEncrypted: PGP\r\n\r\nno message"),
    "PGP message cut short": mail(encrypted(TO)[:60]),
    "PGP message broken": mail(encrypted(TO).replace(b"\r\n\r\n", b"\r\n\r\n!")),
    "NUL": mail(TO + b"a\0b\r\n"),
    "too large": mail(TO + b"x" * MAX_MAIL),
    "no plain text": mail(TO + b"hi", b"Content-Type: text/html"),
    "multipart without text": b"Content-Type: multipart/mixed; boundary=b\n\n--b\n"
    b"Content-Type: image/png\n\n--b--",
}


@pytest.mark.parametrize("raw", DROPPED.values(), ids=DROPPED.keys())
def test_dropped(raw: bytes) -> None:
    with pytest.raises(Dropped):
        read(raw)


@pytest.mark.parametrize(
    "address",
    ["bob", "bob@host", "@a.test,@b.test:c@d.test", "a b@c.test", '"a b"@c.test', "a@[192.0.2.1]",
     "Bob <bob@c.test>", "a%b@c.test", "b!a@c.test", "a@-c.test", "a..b@c.test", "ä@c.test",
     "a@c.test\x01", "x" * 65 + "@c.test", "a@" + "c." * 130 + "test", "a@c.test b@c.test"],
)  # fmt: skip
def test_addresses_that_are_refused(address: str) -> None:
    with pytest.raises(Dropped):
        read(mail(b"::\r\nAnon-To: " + address.encode() + b"\r\n\r\nhi\r\n"))


def test_null_is_cover() -> None:
    assert read(mail(b"::\r\nNull:\r\n\r\nxyz")) == ()
    assert read(mail(encrypted(b"Null: 1\r\n\r\n"))) == ()
    assert read(mail(TO.replace(b"\r\n\r\n", b"\r\nNull:\r\n\r\n") + b"hi")) == ()


def test_layers_have_a_limit() -> None:
    def layers(count: int) -> bytes:
        text = TO + b"deep\r\n"
        for _ in range(count):
            text = encrypted(text)
        return mail(text)

    assert only(layers(MAX_LAYERS))[1] == b"deep\r\n"
    with pytest.raises(Dropped):
        read(layers(MAX_LAYERS + 1))


def test_what_one_mail_opens_to_has_a_limit_in_all() -> None:
    """Layers that hold little but are packed well: each costs as much time as a large mail."""

    def layers(count: int) -> Iterator[bytes]:  # the innermost first
        text = TO + b"hi\r\n"
        for _ in range(count):
            yield b"X-Padding: ".ljust(MAX_MAIL - 200, b"x") + b"\r\n" + text[4:]
            text = encrypted(b"the next one")

    def peeled(count: int) -> tuple[Outgoing, ...]:
        packed = list(layers(count))
        raw = mail(encrypted(b"the first one"))
        return read(raw, lambda _: Opened(packed.pop(), bytes(32)))

    assert len(peeled(MAX_OPENED // MAX_MAIL)) == 1
    with pytest.raises(Dropped):
        peeled(MAX_OPENED // MAX_MAIL + 1)


def test_many_parts_in_parts_are_dropped_at_once() -> None:
    level = b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n"

    def nested(depth: int, rest: bytes = b"") -> bytes:
        return b"".join(level % (n, n) for n in range(depth)) + b"\r\n" + rest + TO + b"hi\r\n"

    assert only(nested(MAX_MULTIPARTS))[1] == b"hi\r\n"
    began = time.process_time()
    with pytest.raises(Dropped):
        read(nested(300, b"\r\n" * 300_000))
    assert time.process_time() - began < 1


@pytest.mark.parametrize("said", [b"Anon-To: eve@evil.test", b"Null:"])
def test_what_is_said_outside_the_armour_is_forgotten_once_it_is_opened(said: bytes) -> None:
    inner = encrypted(TO + b"hi\r\n")
    outside = inner.replace(b"::\r\n", b"::\r\n" + said + b"\r\n", 1)
    both = said + b"\r\nEncrypted: PGP"
    for raw in (mail(outside), mail(encrypted(outside)), mail(inner[22:], *both.split(b"\r\n"))):
        (out,) = read(raw)
        assert out.recipient == "bob@recipient.test"
    with pytest.raises(Dropped):
        read(mail(outside.replace(armour(TO + b"hi\r\n"), armour(b"not a remailer's\r\n"))))


def test_blocks_have_a_limit_in_each_round() -> None:
    blocks = b"::\r\n\r\n" * (MAX_BLOCKS - 1) + TO + b"hi\r\n"
    assert only(mail(blocks))[1] == b"hi\r\n"
    assert only(mail(encrypted(blocks)))[1] == b"hi\r\n"
    for raw in (mail(b"::\r\n\r\n" + blocks), mail(encrypted(b"::\r\n\r\n" + blocks))):
        with pytest.raises(Dropped):
            read(raw)


def test_directives_that_nobody_knows_cost_next_to_nothing() -> None:
    nobodys = b"A: b\r\n more\r\n" * 300_000
    began = time.process_time()
    assert (
        only(mail(b"::\r\n" + nobodys + b"Anon-To: bob@recipient.test\r\n\r\nhi\r\n"))[1]
        == b"hi\r\n"
    )
    assert time.process_time() - began < 1


@pytest.mark.parametrize("block", [b"::\r\nRand-Hop: 1\r\n", b"##\r\nX-A: b\r\n"])
def test_directives_and_header_lines_have_a_limit(block: bytes) -> None:
    mark, line = block.splitlines(keepends=True)
    for count, fits in ((MAX_LINES, True), (MAX_LINES + 1, False)):
        lines = mark + line * count + b"\r\n"
        text = lines + TO + b"hi\r\n" if mark == b"::\r\n" else TO + lines + b"hi\r\n"
        if fits:
            assert only(mail(text))[1] == b"hi\r\n"
        else:
            with pytest.raises(Dropped):
                read(mail(text))


def test_lines_are_made_fit_for_mail() -> None:
    _, body = only(
        mail(encrypted(TO + b"##\r\n\r\na\nb\rc\r\n" + b"x" * 2000 + b"\r\n" + b"y" * 998))
    )
    assert body == b"\r\n".join(
        [b"a", b"b", b"c", b"x" * 998, b"x" * 998, b"xxxx", b"y" * 998, b""]
    )


@pytest.mark.parametrize("nl", [b"\n", b"\r\n"])
def test_armour_as_mail_programs_leave_it(nl: bytes) -> None:
    text = b"Dear remailer,\r\n" + armour(TO + b"hi\r\n").replace(b"\r\n", b"  \r\n")
    text = text.replace(b"-----BEGIN", b"- -----BEGIN").replace(b"-----END", b"- -----END")
    text = b"::\r\nEncrypted: pgp \r\n\r\n" + text + b"tail\r\n"
    assert only(mail(text).replace(b"\r\n", nl))[1] == b"hi\r\ntail\r\n"


def test_mime_parts_are_decoded_first() -> None:
    text = encrypted(TO + b"hi\r\n", "grüße = 100%\r\n".encode())
    expected = "hi\r\ngrüße = 100%\r\n".encode()
    qp = mail(quopri.encodestring(text), b"Content-Transfer-Encoding: quoted-printable",
              b"Content-Type: text/plain; charset=utf-8; format=flowed")  # fmt: skip
    b64 = mail(base64.encodebytes(text), b"Content-Transfer-Encoding: base64")
    assert only(qp)[1] == only(b64)[1] == expected
    multi = mail(
        b"--b\r\nContent-Type: text/html\r\n\r\n<p>\r\n--b\r\nContent-Type: text/plain\r\n\r\n"
        + text + b"\r\n--b\r\nContent-Type: text/plain\r\n\r\nsecond\r\n--b--\r\n",
        b"Content-Type: multipart/alternative; boundary=b",
    )  # fmt: skip
    assert only(multi)[1] == expected


def test_the_blanks_that_format_flowed_puts_before_lines_are_taken_off() -> None:
    text = encrypted(TO, b"  indented\r\n From here\r\n> quoted\r\nblanks  \r\n")
    flowed = mail(text, b"Content-Type: text/plain; format=Flowed; delsp=no")
    assert only(flowed)[1] == b" indented\r\nFrom here\r\n> quoted\r\nblanks  \r\n"
    fixed = mail(text, b"Content-Type: text/plain; format=fixed")
    assert only(fixed)[1].startswith(b"  indented\r\n From here\r\n")


def test_a_clear_mail_keeps_its_charset() -> None:
    raw = mail(TO + b"gr=FC=DFe\r\n", b"Content-Transfer-Encoding: quoted-printable",
               b'Content-Type: text/plain; charset="iso-8859-1"')  # fmt: skip
    head, body = only(raw)
    assert body == "grüße\r\n".encode("latin-1")
    assert head[5:] == [
        b"MIME-Version: 1.0",
        b"Content-Type: text/plain; charset=iso-8859-1",
        b"Content-Transfer-Encoding: 8bit",
    ]
    assert len(only(mail(TO + b"gr\xfc\xdfe\r\n"))[0]) == 5


def test_a_mime_field_that_takes_for_ever_to_read_is_dropped_at_once() -> None:
    parameters = b";\r\n " * 200_000
    for raw in (
        b"Content-Type: text/plain" + parameters + b"\r\n\r\nAnon-To: x@y.test\r\n\r\nhi",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\ncontent-type: text/plain"
        + parameters + b"\r\n\r\nhi\r\n--b--\r\n",
        b"X: y\rContent-Type: text/plain" + parameters + b"\r\n\r\n" + TO + b"hi\r\n",
    ):  # fmt: skip
        began = time.process_time()
        with pytest.raises(Dropped):
            read(raw)
        assert time.process_time() - began < 1
