"""The directives beyond recipients: what each value does, and what one that is wrong does."""

from __future__ import annotations

import base64
import random
import re
import shutil
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pysequoia
import pytest
from toy import ME, NOW, TO, armour, encrypted, mail, only, read, toy_decrypt

from remailer import cutmarks, inflate, latent, message, openpgp
from remailer.errors import Dropped
from remailer.outgoing import Outgoing, canonical, fit
from remailer.rules import MAX_LAYERS, MAX_OUTGOING, MAX_PARTS, Rules


def said(*lines: bytes, body: bytes = b"hi\r\n") -> bytes:
    """A mail to bob with these directives, in its PGP message."""
    return mail(encrypted(b"\r\n".join([b"Anon-To: bob@recipient.test", *lines, b"", body])))


def out_of(*lines: bytes, body: bytes = b"hi\r\n") -> Outgoing:
    (out,) = read(said(*lines, body=body))
    return out


def body_of(out: Outgoing) -> bytes:
    return out.mail.partition(b"\r\n\r\n")[2]


# -- Latent-Time (it is 12:34 UTC) ---------------------------------------------------------------

HOUR = 3600.0
LATENT = [
    ("+2:30", 2.5 * HOUR), ("+02:30", 2.5 * HOUR), ("+:30", HOUR / 2), ("+0:00", 0), ("+:05", 300),
    ("+99:99", latent.LONGEST), ("+1:90", 2.5 * HOUR), (" +1:00 ", HOUR),
    ("12:34", 0), ("13:34", HOUR), ("12:33", 24 * HOUR - 60), ("0:00", 11 * HOUR + 26 * 60),
    (":40", 12 * HOUR + 6 * 60),
    # What is no time: as if it weren't there.
    ("", 0), ("x", 0), ("+x:30", 0), ("+100:00", 0), ("+1:0", 0), ("24:00", 0), ("12:60", 0),
    ("+1", 0), ("-1:00", 0), ("+1:00 later", 0), ("+١:٣٠", 0),
]  # fmt: skip


@pytest.mark.parametrize(("value", "seconds"), LATENT)
def test_latent_time(value: str, seconds: float) -> None:
    assert latent.seconds(value, NOW, random.Random(1)) == seconds


@pytest.mark.parametrize("value", ["+2:00r", "+02:00 R", "14:34r"])
def test_latent_time_at_random_is_anywhere_up_to_it(value: str) -> None:
    rng = random.Random(1)
    waits = [latent.seconds(value, NOW, rng) for _ in range(400)]
    assert 0 <= min(waits) < 120 < 7080 < max(waits) <= 7200


def test_a_message_waits_as_its_latent_time_says() -> None:
    assert out_of(b"Latent-Time: +1:00").latent == HOUR
    assert out_of(b"latent-time: +1:00", b"Latent-Time: +2:00").latent == HOUR
    assert out_of().latent == 0
    in_header = mail(b"text\r\n", b"Anon-To: bob@recipient.test", b"Latent-Time: +3:00")
    assert read(in_header)[0].latent == 3 * HOUR


def test_the_date_is_of_the_day_on_which_the_wait_ends() -> None:
    assert b"\r\nDate: Tue, 25 Aug 2026 00:00:00 +0000\r\n" in out_of(b"Latent-Time: +11:25").mail
    assert b"\r\nDate: Wed, 26 Aug 2026 00:00:00 +0000\r\n" in out_of(b"Latent-Time: +11:30").mail


def test_a_latent_time_outside_the_armour_holds_unless_there_is_one_inside() -> None:
    def around(inner: bytes) -> float:
        raw = encrypted(inner).replace(b"::\r\n", b"::\r\nLatent-Time: +1:00\r\n", 1)
        (out,) = read(mail(raw))
        return out.latent

    assert around(TO + b"hi\r\n") == HOUR
    assert (
        around(TO.replace(b"\r\n\r\n", b"\r\nLatent-Time: +2:00\r\n\r\n") + b"hi\r\n") == 2 * HOUR
    )
    assert around(encrypted(TO + b"hi\r\n")) == HOUR


# -- Cutmarks ------------------------------------------------------------------------------------


def to(name: str, *lines: bytes) -> bytes:
    return b"\r\n".join([b"::", b"Anon-To: %s@recipient.test" % name.encode(), *lines, b"", b""])


def bodies(raw: bytes) -> dict[str, bytes]:
    return {out.recipient.partition("@")[0]: body_of(out) for out in read(raw)}


def test_the_body_ends_at_the_cutmark() -> None:
    text = to("bob", b"Cutmarks: --") + b"hi\r\n-- \r\nMy signature\r\n"
    assert bodies(mail(text)) == {"bob": b"hi\r\n"}
    assert bodies(mail(text.replace(b"-- \r\n", b"--\r\n"))) == {"bob": b"hi\r\n"}
    assert bodies(mail(encrypted(text))) == {"bob": b"hi\r\n"}
    other = bodies(mail(text.replace(b"-- \r\n", b"---\r\n")))
    assert other == {"bob": b"hi\r\n---\r\nMy signature\r\n"}


def test_what_is_cut_off_are_messages_of_their_own() -> None:
    pieces = [
        to("bob", b"Cutmarks: %%") + b"one\r\n",
        to("carol") + b"##\r\nSubject: s\r\n\r\ntwo\r\n",
        b"Anon-To: dave@recipient.test\r\n\r\nthree\r\n",
        encrypted(to("erin") + b"four\r\n"),
        b"padding\r\n",
    ]
    text = b"%%\r\n".join(pieces)
    expected = {"bob": b"one\r\n", "carol": b"two\r\n", "dave": b"three\r\n", "erin": b"four\r\n"}
    assert bodies(mail(text)) == bodies(mail(encrypted(text))) == expected
    subjects = [out.mail.count(b"Subject: outer\r\n") for out in read(mail(text))]
    assert sorted(subjects) == [0, 0, 0, 1], "the header of the mail is its first message's"


@pytest.mark.parametrize(
    "last", [b"padding\r\n", b"", b"::\r\nNull:\r\n\r\n", b"::\r\nAnon-To: nobody\r\n\r\n",
             b"::\r\nEncrypted: PGP\r\n\r\nnone\r\n"]
)  # fmt: skip
def test_a_part_that_is_dropped_harms_no_other(last: bytes) -> None:
    text = to("bob", b"Cutmarks: --") + b"hi\r\n--\r\n"
    assert bodies(mail(text + last)) == {"bob": b"hi\r\n"}
    after = b"::\r\nCutmarks: --\r\n\r\n" + last + b"--\r\n" + to("bob") + b"hi\r\n"
    assert bodies(mail(after)) == {"bob": b"hi\r\n"}


def test_a_reply_block_is_cut_from_what_a_mail_program_puts_after_it() -> None:
    block = encrypted(to("bob") + b"hi\r\n").replace(b"::\r\n", b"::\r\nCutmarks: --\r\n", 1)
    assert bodies(mail(block + b"tail\r\n--\r\nAda\r\n")) == {"bob": b"hi\r\ntail\r\n"}


def test_parts_may_have_cutmarks_of_their_own() -> None:
    inner = to("carol", b"Cutmarks: ++") + b"two\r\n++\r\n" + to("dave") + b"three\r\n"
    raw = mail(to("bob", b"Cutmarks: --") + b"one\r\n--\r\n" + inner)
    assert bodies(raw) == {"bob": b"one\r\n", "carol": b"two\r\n", "dave": b"three\r\n"}


def test_a_mail_asks_for_only_so_much() -> None:
    def parts(count: int, recipients: int = 1) -> bytes:
        first = b"::\r\nCutmarks: --\r\n\r\n"
        names = [
            b",".join(b"u%d-%d@x.test" % (i, j) for j in range(recipients)) for i in range(count)
        ]
        parts = [b"--\r\nAnon-To: %s\r\n\r\nhi\r\n" % each for each in names]
        return mail(first + b"".join(parts))

    assert len(read(parts(MAX_PARTS - 1))) == MAX_PARTS - 1
    assert len(read(parts(MAX_OUTGOING // 5, 5))) == MAX_OUTGOING
    for raw in (parts(MAX_PARTS), parts(3, 4), parts(10_000)):
        with pytest.raises(Dropped):
            read(raw)
    large = b"x" * 60 + b"\r\n"
    nested = to("bob", b"Cutmarks: --") + large * 30_000 + b"--\r\n" + to("carol") + large * 30_000
    assert len(read(mail(nested))) == 2


def test_parts_share_the_limit_of_layers() -> None:
    deep = TO + b"hi\r\n"
    for _ in range(MAX_LAYERS // 2):
        deep = encrypted(deep)
    mark = b"::\r\nCutmarks: --\r\n\r\n--\r\n"
    assert len(read(mail(mark + deep + b"--\r\n" + deep))) == 2
    with pytest.raises(Dropped):
        read(mail(mark + deep + b"--\r\n" + encrypted(deep)))


def test_cutting_takes_linear_time() -> None:
    began = time.process_time()
    assert len(cutmarks.cut(b"--\r\n" * 500_000, b"--", 9)) == 10
    cutmarks.cut(b"-- " + b" " * 2_000_000 + b"x\r\n", b"--", 9)
    long = b"-" * 2_000_000
    assert cutmarks.cut(b"a\r\n" + long + b" \r\nb" + long, long, 9) == [b"a\r\n", b"b" + long]
    cutmarks.cut(b"--x\r\n" * 500_000, b"--", 9)
    assert time.process_time() - began < 1


# -- Encrypt-Key ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [b"Encrypt-Key", b"encrypt-3des", b"Encrypt-CAST", b"Encrypt-IDEA"]
)
def test_what_follows_two_stars_is_encrypted(name: bytes) -> None:
    text = b"next hop's\r\n** \r\nsecret\r\nlines\r\n**\r\nmore\r\n"
    assert body_of(out_of(name + b": a phrase ", body=text)) == (
        b"next hop's\r\n**\r\n[a phrase]" + armour(b"secret\r\nlines\r\n**\r\nmore\r\n")
    )


def test_without_two_stars_all_is_encrypted() -> None:
    assert body_of(out_of(b"Encrypt-Key: k", body=b"x\r\n")) == b"**\r\n[k]" + armour(b"x\r\n")
    assert body_of(out_of(b"Encrypt-Key: k", body=b"x\r\n**")) == b"x\r\n**\r\n[k]" + armour(b"")
    assert body_of(out_of(b"Encrypt-Key:", body=b"x\r\n**\r\ny\r\n")) == b"x\r\n**\r\ny\r\n"


def test_a_phrase_is_utf_8_and_the_first_one_holds() -> None:
    assert b"[gr\xc3\xbc\xc3\x9fe]" in out_of("Encrypt-Key: grüße".encode()).mail
    assert b"[one]" in out_of(b"Encrypt-Key: one", b"Encrypt-Key: two").mail
    with pytest.raises(Dropped):
        out_of(b"Encrypt-Key: gr\xfc\xdfe")


def test_in_a_reply_block_each_hop_encrypts_what_follows_the_next_hops_message() -> None:
    end = b"Anon-To: bob@recipient.test\r\nEncrypt-Key: two\r\n\r\n**\r\n"
    block = (
        b"Anon-To: remailer@bravo.remailer.test\r\nEncrypt-Key: one\r\n\r\n"
        + encrypted(end)
        + b"**\r\n"
    )
    (first,) = read(mail(encrypted(block, b"the answer\r\n")))
    assert body_of(first).endswith(b"**\r\n[one]" + armour(b"the answer\r\n"))
    (second,) = read(first.mail.replace(b"alpha", b"bravo"))
    twice = armour(b"**\r\n[one]" + armour(b"the answer\r\n"))
    assert body_of(second).startswith(b"**\r\n[two]" + twice)


@pytest.mark.parametrize("phrase", ["a phrase", "grüße"])
def test_gpg_and_sequoia_open_it(phrase: str, tmp_path: Path) -> None:
    text = b"secret\r\n" * 1000
    made = fit(openpgp.lock(text, phrase))
    assert pysequoia.decrypt(made, passwords=[phrase]).bytes == text
    if shutil.which("gpg") is None:
        pytest.skip("gpg isn't installed")
    tmp_path.chmod(0o700)
    gpg = ["gpg", "--homedir", str(tmp_path), "--batch", "--pinentry-mode", "loopback"]
    gpg += ["--passphrase", phrase, "--decrypt"]
    opened = subprocess.run(gpg, input=made, capture_output=True, check=True)
    assert opened.stdout == text
    assert b"integrity" not in opened.stderr


def test_the_phrase_costs_a_bounded_time() -> None:
    began = time.process_time()
    for _ in range(MAX_PARTS):
        openpgp.lock(b"", "phrase")
    assert time.process_time() - began < 5


# -- Inflate -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [("10", 10, 10), ("50", 50, 50), ("51", 50, 50), ("999999999", 50, 50), ("20 r", 0, 20),
     ("20R", 0, 20), ("0", 0, 0), ("", 0, 0), ("x", 0, 0), ("-3", 0, 0), ("3 KB", 0, 0),
     ("9999999999", 0, 0)],
)  # fmt: skip
def test_inflate(value: str, least: int, most: int) -> None:
    rng = random.Random(1)
    for _ in range(20):
        made = inflate.garbage(value, rng)
        inside = b"".join(made.split(b"\r\n")[2:-2])
        assert least * 1024 <= len(inside) <= most * 1024
        assert max(map(len, made.split(b"\r\n"))) <= 64


def test_garbage_stands_after_the_body_and_is_random() -> None:
    one, two = (body_of(out_of(b"Inflate: 3", body=b"hi")) for _ in range(2))
    found = re.fullmatch(
        rb"hi\r\n-----BEGIN GARBAGE-----\r\n((?:[A-Za-z0-9+/=]{1,64}\r\n)+)"
        rb"-----END GARBAGE-----\r\n", one
    )  # fmt: skip
    assert found
    assert len(base64.b64decode(found[1])) == 3 * 768
    assert one == two, "the random source is passed in"
    assert body_of(read(said(b"Inflate: 3", body=b"hi"), seed=2)[0]) != one


def test_garbage_is_encrypted_with_the_rest() -> None:
    body = body_of(out_of(b"Inflate: 1", b"Encrypt-Key: k", body=b"a\r\n**\r\nb\r\n"))
    assert body.startswith(b"a\r\n**\r\n[k]")
    inside = toy_decrypt(canonical(body[body.index(b"-----BEGIN") :]).replace(b"\r\n", b"\n")).text
    assert inside.startswith(b"b\r\n\r\n-----BEGIN GARBAGE-----\r\n")


# -- Max-Size, Max-Date, Max-Count ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "passes"),
    [
        (b"Max-Size: 1", True), (b"MaxSize: 1", True), (b"Max-Size: 0", False),
        (b"Max-Size: x", False), (b"Max-Size:", False), (b"Max-Size: -1", False),
        (b"Max-Date: 2026-08-25", True), (b"Max-Date: 2026-08-24", False),
        (b"Max-Date: 25 Aug 2026", True), (b"Max-Date: 24 Aug 2026", False),
        (b"Max-Date: Tue, 25 Aug 2026 12:34:00 +0000", True),
        (b"Max-Date: 25 Aug 2026 12:33:00", False), (b"Max-Date: 25 Aug 2026 12:35:00 GMT", True),
        (b"Max-Date: 25 Aug 2026 12:35:00 +0200", False), (b"Max-Date: 2027", False),
        (b"Max-Date: soon", False), (b"Max-Date:", False), (b"MaxDate: 31 Feb 2027", False),
        (b"Max-Date: 1 Jan 99999 00:00:00", False),
        (b"Max-Count: 3", True), (b"Max-Count: x", False), (b"MaxCount: 0", True),
    ],
)  # fmt: skip
def test_limits_of_a_reply_block(line: bytes, passes: bool) -> None:
    if passes:
        assert out_of(line).recipient == "bob@recipient.test"
    else:
        with pytest.raises(Dropped):
            out_of(line)


def test_size_is_that_of_the_text_with_what_was_appended() -> None:
    block = encrypted(b"Anon-To: bob@recipient.test\r\nMax-Size: 2\r\n\r\n")
    assert read(mail(block + b"x" * 2048))
    with pytest.raises(Dropped):
        read(mail(block + b"x" * 2049))


def test_who_answers_a_block_does_not_have_the_last_word() -> None:
    block = encrypted(b"Anon-To: bob@recipient.test\r\nMax-Size: 1\r\nMax-Count: 5\r\n\r\n")
    tail = b"::\r\nMax-Size: 100\r\nMax-Count: 9999\r\nLatent-Time: +0:00\r\n\r\n"
    assert read(mail(block + tail))[0].use.most == 5  # type: ignore[union-attr]
    with pytest.raises(Dropped):
        read(mail(block + tail + b"x" * 2000))


def test_what_is_counted_is_the_last_pgp_message_that_was_opened() -> None:
    inner = b"Anon-To: bob@recipient.test\r\nMax-Count: 3\r\n\r\n"
    uses = [
        read(mail(encrypted(inner, tail)))[0].use for tail in (b"", b"x\r\n", b"::\r\nA: b\r\n\r\n")
    ]
    assert uses[0] == uses[1] == uses[2]
    assert read(mail(encrypted(encrypted(inner))))[0].use == uses[0]
    assert read(mail(encrypted(inner + b"y\r\n")))[0].use != uses[0]
    with pytest.raises(Dropped):
        read(mail(b"::\r\n" + inner))


def test_the_digest_of_a_pgp_message_cannot_be_changed_by_whoever_has_it() -> None:
    """Armour, and who it is said to be for, are not sealed; what is, is what counts."""
    secret = openpgp.generate("x <remailer@x.test>")
    keyring, certificate = openpgp.Keyring.load(secret), openpgp.certificate(secret)
    cert = pysequoia.Cert.from_bytes(certificate.encode())
    named = pysequoia.encrypt(b"text", [cert])
    hidden = openpgp._without_recipients(pysequoia.encrypt(b"text", [cert], armor=False))
    binary = b"".join(bytes(one) for one in pysequoia.packet.PacketPile.from_bytes(named))
    again = pysequoia.armor(binary, pysequoia.ArmorKind.Message).encode()
    bare = openpgp._without_recipients(binary)
    digests = {keyring.decrypt(one).digest for one in (named, again, binary, bare)}
    assert len(digests) == 1
    assert keyring.decrypt(hidden).digest not in digests


# -- all of them ---------------------------------------------------------------------------------


def test_directives_work_in_the_mails_own_header() -> None:
    raw = mail(
        b"hi\r\n**\r\nsecret\r\n--\r\nsignature\r\n",
        b"Anon-To: bob@recipient.test", b"Latent-Time: +1:00", b"Cutmarks: --",
        b"Encrypt-Key: k", b"Inflate: 1", b"Max-Size: 9", b"Max-Date: 2026-12-31",
    )  # fmt: skip
    (out,) = read(raw)
    assert out.latent == HOUR
    assert body_of(out).startswith(b"hi\r\n**\r\n[k]-----BEGIN")
    assert b"signature" not in body_of(out)
    for line in (b"Max-Size: 0", b"Max-Date: 2025-12-31", b"Max-Count: 3"):
        with pytest.raises(Dropped):
            read(mail(b"hi\r\n", b"Anon-To: bob@recipient.test", line))


def test_what_is_said_outside_the_armour_is_not_obeyed_inside() -> None:
    inner = TO + b"hi\r\n**\r\nthere\r\n"
    outside = b"Encrypt-Key: k\r\nInflate: 9\r\nMax-Size: 0\r\nMax-Date: never\r\nMax-Count: x\r\n"
    raw = encrypted(inner).replace(b"::\r\n", b"::\r\n" + outside, 1)
    assert only(mail(raw))[1] == b"hi\r\n**\r\nthere\r\n"


def test_only_what_is_encrypted_is_read_by_a_node_that_says_pgponly() -> None:
    def strict(raw: bytes) -> tuple[Outgoing, ...]:
        return message.read(
            raw, me=ME, decrypt=toy_decrypt, encrypt=lambda text, phrase: text,
            now=datetime(2026, 8, 25, tzinfo=UTC), rng=random.Random(1), rules=Rules(pgponly=True),
        )  # fmt: skip

    assert len(strict(mail(encrypted(TO + b"hi\r\n")))) == 1
    inside = encrypted(to("bob", b"Cutmarks: --") + b"hi\r\n--\r\n" + to("carol") + b"hi\r\n")
    assert len(strict(mail(inside))) == 2
    assert strict(mail(b"::\r\nNull:\r\n\r\n")) == ()
    beside = b"::\r\nEncrypted: PGP\r\nCutmarks: --\r\n\r\n" + encrypted(TO + b"hi\r\n")[22:]
    assert len(strict(mail(beside + b"--\r\n" + to("carol") + b"hi\r\n"))) == 1
    for raw in (mail(TO + b"hi\r\n"), mail(b"hi\r\n", b"Anon-To: bob@recipient.test")):
        with pytest.raises(Dropped):
            strict(raw)
