"""remailer.client: what it makes arrives, through real keys, hop by hop."""

from __future__ import annotations

import email
from email.header import decode_header, make_header
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from remailers import NAMES, NOW, carry, directory

from remailer.client import chain, reply_block
from remailer.client.send import SendError, Server, submit
from remailer.client.submission import Submission
from remailer.directory import Directory
from remailer.errors import ChainError

BOB = "bob@recipient.test"

ROUTES = st.lists(st.sampled_from(NAMES), min_size=1, max_size=5).filter(
    lambda names: all(one != two for one, two in pairwise(names))
)
LINE = st.text(
    st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=40
) | st.sampled_from(["::", "##", "", ".", "..", "Anon-To: x@y.test", "-----END PGP MESSAGE-----"])
BODIES = st.lists(LINE, max_size=6).map(
    lambda lines: "".join(f"{line}\r\n" for line in lines).encode()
)


def body_of(mail: bytes) -> bytes:
    return mail.partition(b"\r\n\r\n")[2]


@settings(max_examples=60, deadline=None)
@given(ROUTES, BODIES, st.text(st.characters(exclude_categories=["C"]), max_size=60))
def test_a_chain_delivers_the_exact_body(hops: list[str], body: bytes, subject: str) -> None:
    submission = chain.make(directory(), hops, [BOB], subject, body)
    assert b"recipient.test" not in submission.body
    path, delivered = carry(submission)
    assert path == hops
    ((to, mail),) = delivered
    assert to == BOB
    assert body_of(mail) == body
    got = email.message_from_bytes(mail, policy=email.policy.default)
    assert (got["Subject"] or "").split() == subject.split()


@settings(max_examples=40, deadline=None)
@given(ROUTES, BODIES)
def test_a_reply_block_delivers_the_exact_tail(hops: list[str], text: bytes) -> None:
    block = reply_block.make(directory(), hops, BOB, "an answer")
    assert block.endswith(b"-----END PGP MESSAGE-----\r\n")
    for held in (block, block.replace(b"\r\n", b"\n") + b"\n"):
        path, delivered = carry(reply_block.answer(held, text))
        assert path == hops
        ((to, mail),) = delivered
        assert (to, body_of(mail)) == (BOB, text)
        assert b"Subject: an answer\r\n" in mail


def test_several_recipients_and_headers_of_ones_own() -> None:
    text = "Grüße\n".encode("latin-1")
    mime = [("MIME-Version", "1.0"), ("Content-Type", "text/plain; charset=iso-8859-1")]
    to = ["a@x.test", "b@x.test"]
    _, delivered = carry(chain.make(directory(), ["echo", "alpha"], to, "", text, mime))
    assert sorted(recipient for recipient, _ in delivered) == to
    for _, mail in delivered:
        assert body_of(mail) == "Grüße\r\n".encode("latin-1")
        assert b"Subject" not in mail
        assert b"Content-Type: text/plain; charset=iso-8859-1\r\n" in mail


def test_layers_have_the_size_of_their_content_only() -> None:
    def size(body: bytes) -> int:
        return len(chain.make(directory(), ["alpha", "bravo"], [BOB], "s", body).body)

    assert size(b"a" * 900 + b"\n") == size(bytes(range(32, 122)) * 10 + b"\n")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"chain": []}, "chain: empty; name at least one remailer"),
        ({"chain": ["alpha"] * 21}, "chain: 21 remailers; at most 20"),
        ({"chain": ["zulu"]}, "chain: no remailer 'zulu' in the directory; it knows alpha, bravo,"),
        ({"chain": ["alpha", "alpha"]}, "chain: alpha after itself"),
        ({"recipients": []}, "recipients: 0"),
        ({"recipients": [BOB] * 6}, "recipients: 6"),
        ({"recipients": ["bob"]}, "recipient 'bob': not an address"),
        ({"recipients": ["x@alpha.remailer.test"]}, "recipient x@alpha.remailer.test: alpha drops"),
        ({"recipients": [BOB, "x@echo.remailer.test"]}, "recipient x@echo.remailer.test: a rem"),
        ({"body": b"a\0"}, "body: it has a NUL byte"),
        ({"body": b"a\rb"}, "body: it has a lone CR"),
        ({"body": b"x" * 999}, "body: a line has 999 bytes"),
        ({"body": b"\xff\n"}, "body: neither ASCII nor UTF-8"),
        ({"subject": "a\nBcc: x"}, "header 'Subject'"),
        ({"headers": [("Received", "x")]}, "header 'Received'"),
        ({"headers": [("My Header", "x")]}, "header 'My Header'"),
        ({"headers": [("X\r\nBcc", "x")]}, "header 'X\\r\\nBcc'"),
    ],
)
def test_what_cant_be_sent_is_one_line(change: dict[str, object], line: str) -> None:
    wanted: dict[str, object] = {
        "chain": ["alpha"],
        "recipients": [BOB],
        "subject": "s",
        "body": b"",
    }
    with pytest.raises(ChainError) as error:
        chain.make(directory(), **(wanted | change))  # type: ignore[arg-type]
    assert str(error.value).startswith(line)
    assert "\n" not in str(error.value)


def test_other_mistakes() -> None:
    assert chain.names("alpha, bravo") == ["alpha", "bravo"]
    with pytest.raises(ChainError, match="an empty name"):
        chain.names("alpha,,bravo")
    block = reply_block.make(directory(), ["alpha"], BOB)
    for not_one in (block[3:], block[:-40], block.replace(b"@", b"", 1), b"\xff" + block):
        with pytest.raises(ChainError, match="it must be a line `To: REMAILER`"):
            reply_block.answer(not_one, b"hi")
    with pytest.raises(ChainError, match="sender 'alice'"):
        Submission("r@x.test", b"").mail("alice", NOW, "id@x")
    with pytest.raises(ChainError, match="each hop adds"):
        Submission("r@x.test", b"x" * 4_194_304).mail("a@x.test", NOW, "id@x")
    bad = directory().remailers[0].model_copy(update={"openpgp": "no key"})
    with pytest.raises(ChainError, match="alpha: OpenPGP certificate"):
        chain.make(Directory(remailers=(bad,)), ["alpha"], [BOB], "s", b"")


async def test_a_server_that_isnt_there_is_one_line(tmp_path: Path) -> None:
    submission = Submission("remailer@alpha.remailer.test", b"x")
    with pytest.raises(SendError, match=r"^127\.0\.0\.1:9: ") as error:
        await submit(Server("127.0.0.1", 9), "alice@sender.test", submission)
    assert "\n" not in str(error.value)
    missing = Server("127.0.0.1", 9, "alice", tmp_path / "none")
    with pytest.raises(SendError, match="No such file"):
        await submit(missing, "alice@sender.test", submission)


@pytest.mark.parametrize(
    ("server", "tls", "starttls"),
    [
        (Server("mail.sender.test", 587, "alice"), False, True),
        (Server("192.0.2.1", 25, "alice"), False, True),
        (Server("mail.sender.test", 465, "alice"), True, False),
        (Server("mail.sender.test", 587), False, None),
        (Server("127.0.0.1", 587, "alice"), False, None),
        (Server("localhost", 587, "alice"), False, None),
    ],
)
def test_a_password_goes_to_another_machine_in_tls_only(
    server: Server, tls: bool, starttls: bool | None
) -> None:
    assert (server.tls, server.starttls) == (tls, starttls)


@pytest.mark.parametrize("value", ["a\nBcc: x@y.test", "ü\nBcc: x@y.test"])
def test_a_header_is_one_line(value: str) -> None:
    with pytest.raises(ChainError, match="remailers don't take it"):
        chain.header_block([("Subject", value)])


def test_a_long_subject_is_of_words_as_long_as_may_be() -> None:
    subject = "Grüße " * 40
    block = chain.header_block([("Subject", subject)]).decode()
    line = next(line for line in block.split("\r\n") if line.startswith("Subject"))
    words = line.removeprefix("Subject: ").split(" ")
    assert len(words) > 1
    assert max(map(len, words)) <= 75  # RFC 2047, 2
    assert str(make_header(decode_header(" ".join(words)))) == subject
