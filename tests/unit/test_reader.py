"""remailer.client.reader, kept: an answer's text comes out byte for byte, or there is one line."""

from __future__ import annotations

import os
import quopri
import random
import shutil
import stat
import subprocess
from contextlib import suppress
from pathlib import Path

import pysequoia
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from remailers import NAMES, carry, directory

from remailer.client import kept, reader, reply_block
from remailer.client.kept import Kept
from remailer.errors import AnswerError

ALICE = "alice@sender.test"
TEXT = "Grüße\r\n**\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nno\r\n".encode()
HEADER = b"From: r@x.test\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"


def under(phrase: str, text: bytes) -> bytes:
    sealed: bytes = pysequoia.encrypt(text, passwords=[phrase])
    return sealed


def layers(phrases: list[str], text: bytes) -> bytes:
    """What arrives, made as the remailers make it: the first remailer's phrase is innermost."""
    for phrase in phrases:
        text = b"**\r\n" + under(phrase, text).replace(b"\n", b"\r\n")
    return text


@pytest.fixture(scope="module")
def block() -> Kept:
    return Kept(Path("mine"), ("last", "middle", "first"))


@pytest.fixture(scope="module")
def body(block: Kept) -> bytes:
    return layers(list(reversed(block.phrases)), TEXT)


def test_an_answer_by_an_encrypted_block_is_sealed_anew_by_each_hop_and_read(
    tmp_path: Path,
) -> None:
    rng = random.Random(1)
    phrases = reply_block.phrases(3, rng)
    made = reply_block.make(directory(), ["echo", "alpha", "delta"], ALICE, "re", phrases)
    path, ((to, mail),) = carry(reply_block.answer(made, TEXT))
    assert (path, to) == (["echo", "alpha", "delta"], ALICE)
    assert "Grüße".encode() not in mail
    file = kept.keep(tmp_path / "block", phrases, rng)
    assert reader.read(mail, kept.kept(file)) == (Kept(file, tuple(reversed(phrases))), TEXT)


@settings(max_examples=10, deadline=None)
@given(
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True),
    st.binary(max_size=60).map(lambda raw: raw.hex().encode() + b"\r\n"),
)
def test_any_answer_by_any_encrypted_block_is_read(hops: list[str], text: bytes) -> None:
    phrases = reply_block.phrases(len(hops), random.Random(1))
    made = reply_block.make(directory(), hops, ALICE, "", phrases)
    _, ((_, mail),) = carry(reply_block.answer(made, text))
    assert reader.read(mail, [Kept(Path("b"), tuple(reversed(phrases)))])[1] == text


def test_a_mail_is_read_in_every_form_that_mail_programs_give_it(body: bytes, block: Kept) -> None:
    quoted = quopri.encodestring(body.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    multipart = HEADER.replace(b"text/plain; charset=utf-8", b"multipart/mixed; boundary=b")
    part = b"\r\n--b\r\nContent-Type: text/plain\r\n\r\n"
    for mail in (
        body,
        body.replace(b"\r\n", b"\n"),
        b"\r\n\r\n" + body,
        HEADER + b"\r\n" + body,
        b"From r@x.test Tue Aug 25 00:00:00 2026\n" + HEADER + b"\r\n" + body,
        HEADER + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + quoted,
        multipart + part + body + b"\r\n--b--\r\n",
        HEADER + b"\r\n" + body + b"\r\n-- \r\nadded by a mailing list\r\n",
    ):
        assert reader.read(mail, [block]) == (block, TEXT)


def test_the_right_block_is_found_and_no_more_than_200_are_tried(
    tmp_path: Path, body: bytes, block: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(1)
    monkeypatch.setenv("HOME", str(tmp_path))
    for others in (["a"], list(reversed(block.phrases)), ["b", "c"]):
        kept.keep(None, others, rng)
    (kept.folder() / "notes").mkdir()
    assert reader.read(body, kept.kept(None))[1] == TEXT
    for number in range(kept.MOST):
        file = kept.keep(None, [f"phrase {number}"], rng)
        os.utime(file, (2e9 + number, 2e9 + number))
    newest = kept.kept(None)
    assert len(newest) == kept.MOST
    assert newest[0].phrases == (f"phrase {kept.MOST - 1}",)


def test_phrases_are_long_random_and_kept_for_their_user_only(tmp_path: Path) -> None:
    phrases = reply_block.phrases(5, random.SystemRandom())
    assert len(set(phrases)) == 5
    assert all(len(bytes.fromhex(phrase)) * 8 == 160 for phrase in phrases)
    file = kept.keep(tmp_path / "one", phrases, random.Random(1))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        kept.keep(file, ["other"], random.Random(1))
    made = reply_block.make(directory(), NAMES, ALICE, "", phrases)
    assert not any(phrase.encode() in made for phrase in phrases)


@pytest.mark.parametrize(
    ("mail", "line"),
    [
        (b"", "no PGP message in it"),
        (b"Subject: hi\r\n\r\nplain\r\n", "no PGP message in it"),
        (b"Content-Type: text/html\r\n\r\n<p>", "no plain text in the mail"),
        (layers(["other"], TEXT), "no phrase of the block kept opens the first"),
        (layers(["first", "other", "last"], TEXT), "mine: layer 2 of 3 can't be opened"),
        (layers(["last"], TEXT.replace(b"BEGIN", b"END")), "mine: layer 2 of 3 can't be opened"),
    ],
)
def test_what_cant_be_opened_is_one_line(mail: bytes, line: str, block: Kept) -> None:
    with pytest.raises(AnswerError) as error:
        reader.read(mail, [block])
    assert str(error.value).startswith(line)
    assert "\n" not in str(error.value)


def test_an_altered_answer_is_never_read(body: bytes, block: Kept) -> None:
    rng = random.Random(1)
    for _ in range(8):
        altered = bytearray(body)
        at = rng.randrange(60, len(body) - 60)
        altered[at] = ord("B") if altered[at] == ord("A") else ord("A")
        with suppress(AnswerError):
            assert reader.read(bytes(altered), [block])[1] == TEXT  # it hit a line end, or so


@pytest.mark.parametrize(
    ("content", "line"),
    [(b"# nothing\n", "no phrases in it"), (b"\xff\xfe", "not text"), (None, "No such file")],
)
def test_a_file_of_phrases_that_is_none_is_one_line(
    tmp_path: Path, content: bytes | None, line: str
) -> None:
    file = tmp_path / "file"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(AnswerError, match=line):
        kept.kept(file)


@pytest.mark.skipif(shutil.which("gpg") is None, reason="gpg isn't installed")
def test_layers_made_by_gpg_are_read(tmp_path: Path) -> None:
    text = b"by gpg\n"
    for phrase in ("first", "last"):
        text = b"**\n" + subprocess.run(
            ["gpg", "--homedir", str(tmp_path), "--batch", "--quiet", "--armor", "--symmetric",
             "--pinentry-mode", "loopback", "--passphrase", phrase],
            input=text, capture_output=True, check=True,
        ).stdout  # fmt: skip
    subprocess.run(["gpgconf", "--homedir", str(tmp_path), "--kill", "all"], check=False)
    assert reader.read(text, [Kept(Path("g"), ("last", "first"))])[1] == b"by gpg\n"
