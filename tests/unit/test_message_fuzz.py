"""The claim about remailer.message: any bytes are mails or Dropped, in linear time.

The same examples in every run; `FUZZ=100000` tries so many, new ones each time (CONTRIBUTING.md).
"""

from __future__ import annotations

import base64
import email
import gc
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from toy import ME, NOW, TO, armour, encrypted, mail, toy_decrypt, toy_encrypt

from remailer import message
from remailer.blocked import Blocked
from remailer.errors import Dropped
from remailer.latent import LONGEST
from remailer.message import MAX_MAIL, MAX_OUTGOING
from remailer.rules import PLAIN, Rules

STRICT = Rules(
    "alpha", "the key", pgponly=True, blocked=Blocked(frozenset({"b.test"})),
    remailers=frozenset({"bravo.remailer.test"}),
)  # fmt: skip
fuzz = settings(
    max_examples=int(os.environ.get("FUZZ", "500")),
    derandomize="FUZZ" not in os.environ,
    deadline=None,
)

VALUES = [
    *(b"", b"x", b"1", b"9999999999", b"+1:00", b"+1:00r", b"12:00", b"-1", b"50 r", b"PGP", b"--"),
    *(b"a@b.test", b"c@d.test,e@f.test", b"2026-08-25", b"25 Aug 2026 12:00", b"gr\xfc\xdfe"),
    *(b"%s" * 9, b"\0", b"(" * 30, b"1 Jan 99999 00:00:00 +9999", b"remailer-key"),
]
NAMES = [
    *(b"Anon-To", b"Request-Remailing-To", b"Encrypted", b"Null", b"Latent-Time", b"Cutmarks"),
    *(b"Encrypt-Key", b"Encrypt-3DES", b"Inflate", b"Max-Size", b"Max-Date", b"Max-Count"),
    *(b"Subject", b"From", b"Reply-To", b"X-Loop", b"Content-Type", b"X-Other", b"Precedence"),
]
FIELD = st.builds(b"%s: %s\r\n".__mod__, st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)))
FIELDS = st.lists(FIELD, max_size=5).map(b"".join)
PIECES = [
    *(b"::\r\n", b"##\r\n", b"**\r\n", b"--\r\n", b"\r\n", b"\n", b"\r", b"\0", b" ", b"\xff"),
    *(b"x" * 1000, b"a@b.test", b",", b"--b\r\n", armour(TO + b"x"), TO),
    *(b"-----BEGIN PGP MESSAGE-----\r\n", b"-----END PGP MESSAGE-----\r\n"),
    b"Content-Type: multipart/mixed; boundary=b\r\n",
    b"Content-Type: text/plain; charset=\xff\r\n",
    b"Content-Type: text/plain; charset*0*=x''%zz\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"Content-Transfer-Encoding: quoted-printable\r\n",
    b"Content-Transfer-Encoding: x-uuencode\r\n",
]
NOISE = st.binary(max_size=300)
WORDS = st.lists(st.sampled_from(PIECES) | FIELD | st.binary(max_size=8), max_size=30).map(b"".join)


def _around(inner: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """A text that has others in it: pasted, hashed, cut, sealed; whole or cut short."""
    block = st.builds(lambda fields, text: b"::\r\n" + fields + b"\r\n" + text, FIELDS, inner)
    hashed = st.builds(lambda fields, text: b"##\r\n" + fields + b"\r\n" + text, FIELDS, inner)
    sealed = st.builds(encrypted, inner, NOISE | WORDS)
    cut = st.lists(inner, min_size=2, max_size=4).map(
        lambda parts: b"::\r\nCutmarks: --\r\n\r\n" + b"--\r\n".join(parts)
    )
    short = st.builds(lambda text, end: text[: end % (len(text) + 1)], inner, st.integers(0, 5000))
    return block | hashed | sealed | cut | short


TEXT = st.recursive(NOISE | WORDS | st.just(TO + b"hi\r\n"), _around, max_leaves=8)


def in_mime(text: bytes, form: int) -> bytes:
    """A text as mail programs send it."""
    if form == 1:
        return mail(base64.encodebytes(text), b"Content-Transfer-Encoding: base64")
    if form == 2:
        part = b"--b\r\nContent-Type: text/plain; format=flowed\r\n\r\n" + text + b"\r\n--b--\r\n"
        return mail(part, b"Content-Type: multipart/mixed; boundary=b")
    return mail(text)


MAILS = NOISE | WORDS | st.builds(in_mime, TEXT, st.integers(0, 2))
MAILS |= st.builds(lambda fields, text: fields + b"\r\n" + text, FIELDS, TEXT)


def check(raw: bytes, rules: Rules) -> None:
    try:
        outs = message.read(
            raw, me=ME, decrypt=toy_decrypt, encrypt=toy_encrypt, now=NOW,
            rng=random.Random(1), rules=rules,
        )  # fmt: skip
    except Dropped:
        return
    assert len(outs) <= MAX_OUTGOING
    for out in outs:
        head, blank, body = out.mail.partition(b"\r\n\r\n")
        lines = out.mail.split(b"\r\n")
        assert blank
        assert len(out.mail) <= MAX_MAIL
        assert max(map(len, lines)) <= 998
        assert not any(bad in line for line in lines for bad in (b"\r", b"\n", b"\0"))
        assert not body or body.endswith(b"\r\n")
        assert head.isascii()
        assert 0 <= out.latent <= LONGEST
        assert out.use is None or (len(out.use.digest) == 32 and 0 <= out.use.most < 2**32)
        assert not rules.blocked.destination(out.recipient)
        parsed = email.message_from_bytes(out.mail)
        for name in ("From", "To", "Date", "Message-ID"):
            assert len(parsed.get_all(name, [])) == 1
        assert parsed["To"] == out.recipient


@fuzz
@given(MAILS, st.sampled_from([PLAIN, STRICT]))
@example(b"Content-Type: multipart/mixed; boundary=b\n\n" * 300, PLAIN)
@example(b"\r" * 50 + TO, PLAIN)
def test_any_bytes_are_mails_or_dropped(raw: bytes, rules: Rules) -> None:
    check(raw, rules)


REPEATED = [
    b"::\r\n\r\n", b"::\r\nA: b\r\n\r\n", b"Anon-To: a@b.test\r\n", b"--\r\n", b"**\r\n", b"\r\n",
    b" ", b"\t\r\n", b"a@b.test,", b"-----BEGIN PGP MESSAGE-----\r\n", b"- -----END PGP MESSAGE",
    b"A:\r\n", b"A: b\r\n c\r\n", b"##\r\nA: b\r\n\r\n", b"Cutmarks: --\r\n", b"=\r\n", b"\xff",
    b"Subject: remailer-key\r\n", b"From: a@b.test\r\n", b"(", b"<", b'"', b"\\", b",", b";",
]  # fmt: skip
BEFORE = [
    b"", b"A: b\r\n\r\n", b"A: b\r\n\r\n::\r\nCutmarks: --\r\nAnon-To: x@y.test\r\n\r\n",
    b"A: b\r\n\r\n::\r\nEncrypt-Key: k\r\nAnon-To: x@y.test\r\n\r\n", b"Anon-To: ", b"From: ",
    b"Subject: remailer-key\r\nReply-To: ", b"A: b\r\n\r\n::\r\nEncrypted: PGP\r\n\r\n",
    b"Content-Type: text/plain; format=flowed\r\nAnon-To: x@y.test\r\n\r\n",
]  # fmt: skip


@pytest.fixture
def uncollected() -> Iterator[None]:
    """No garbage is collected meanwhile: that takes as long as all of pytest's objects do."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("before", BEFORE, ids=lambda text: text[-16:])
def test_it_takes_linear_time(before: bytes) -> None:
    """Twenty times the text takes not much more than twenty times as long."""
    for piece in REPEATED:
        times = []
        for size in (5_000, 100_000):
            raw = before + piece * (size // len(piece))
            began = time.process_time()
            check(raw, STRICT if b"remailer-key" in before or not before else PLAIN)
            times.append(time.process_time() - began)
        assert times[1] < max(0.25, times[0] * 100), (piece, times)


CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.eml"))


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_mails_that_were_trouble_once(path: Path) -> None:
    for rules in (PLAIN, STRICT):
        check(path.read_bytes().replace(b"\n", b"\r\n"), rules)
        check(path.read_bytes(), rules)
