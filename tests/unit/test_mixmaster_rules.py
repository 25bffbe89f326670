"""Messages made by the rules of Mixmaster 3 work unchanged: of its help texts (type1.hlp, pgp.hlp),
its remailer (rem1.c), and its client's reply blocks (t1_encrypt). The words are our own.
"""

from __future__ import annotations

import random
import re

import pysequoia
import pytest
from remailers import NOW, address, key, peer

from remailer import openpgp, peel
from remailer.errors import Dropped
from remailer.openpgp import Keyring
from remailer.outgoing import Outgoing

BOB = "bob@recipient.test"
ALPHA, BRAVO = address("alpha"), address("bravo")


def pgp(name: str, text: str) -> str:
    """A text that a user encrypts to a remailer: armour, with LF as a file has it."""
    certificate = pysequoia.Cert.from_bytes(
        peer(name, openpgp.certificate(key(name))).openpgp.encode()
    )
    return bytes(pysequoia.encrypt(text.encode(), recipients=[certificate])).decode()


def to_be_opened(armour: str) -> str:
    return "::\nEncrypted: PGP\n\n" + armour


def mailed(body: str, *header: str) -> bytes:
    """The mail of an ordinary mail program."""
    lines = ["From: user@sender.test", "Subject: anonymous message", *header, "", body]
    return "\n".join(lines).replace("\n", "\r\n").encode()


def outgoing(raw: bytes, name: str = "alpha") -> tuple[Outgoing, ...]:
    ring = Keyring.load(key(name))
    return tuple(peel.peel(raw, ring, address(name), now=NOW, rng=random.Random(1)))


def parts(mail: Outgoing) -> tuple[str, str]:
    """Header and body, with LF."""
    head, _, body = mail.mail.decode().replace("\r\n", "\n").partition("\n\n")
    return head, body


def one(raw: bytes, name: str = "alpha") -> tuple[str, str, str]:
    """The recipient, the header and the body of the one mail that comes out."""
    (mail,) = outgoing(raw, name)
    return mail.recipient, *parts(mail)


# -- type1.hlp: without PGP ---------------------------------------------------------------------


def test_a_pasted_block_after_a_blank_line() -> None:
    to, head, body = one(mailed(f"\n::\nAnon-To:  {BOB} \n\nDear list,\nhelp.\n-- Someone.\n"))
    assert (to, body) == (BOB, "Dear list,\nhelp.\n-- Someone.\n")
    assert "sender.test" not in head


@pytest.mark.parametrize(
    "name", ["Anon-To", "Request-Remailing-To", "Remail-To", "Anon-Send-To", "ANON-TO"]
)
def test_the_names_of_the_field_in_the_header_and_pasted(name: str) -> None:
    assert one(mailed("text\n", f"{name}: {BOB}"))[::2] == (BOB, "text\n")
    assert one(mailed(f"::\n{name}: {BOB}\n\ntext\n"))[::2] == (BOB, "text\n")


def test_header_lines_after_two_hashes() -> None:
    """The help text's own example has a folded field whose second line begins without a blank."""
    _, head, body = one(
        mailed(
            f"::\nAnon-To:  {BOB} \n\n##\nSubject: Re: Remailer Test Message \n"
            'In-Reply-To: Your message of "Tue, 12 Jan 1999 22:47:04 EST." \n'
            "<199901130247.WAA00001@host.example>\n\nDear Desperate,\ntext\n"
        )
    )
    assert "Subject: Re: Remailer Test Message" in head
    assert '22:47:04 EST." \n <199901130247.WAA00001@host.example>' in head
    assert body == "Dear Desperate,\ntext\n"


def test_several_recipients_repeated_or_after_commas() -> None:
    text = "::\nAnon-To: a@one.test, b@two.test\nAnon-To: c@three.test\n\ntext\n"
    assert [mail.recipient for mail in outgoing(mailed(text))] == [
        "a@one.test", "b@two.test", "c@three.test",
    ]  # fmt: skip


# -- pgp.hlp ------------------------------------------------------------------------------------


def test_an_encrypted_message_that_begins_with_a_blank_line() -> None:
    armour = pgp("alpha", f"\n::\nAnon-To: {BOB} \n\nThis is some text.\n")
    armour = armour.replace("MESSAGE-----\n", "MESSAGE-----\nVersion: 2.6.3i\n", 1)
    _, head, body = one(mailed(to_be_opened(armour)))
    assert body == "This is some text.\n"
    assert "Subject" not in head


@pytest.mark.parametrize("line", ["Null:", "Null: yes", "null:"])
def test_null_is_discarded(line: str) -> None:
    assert outgoing(mailed(to_be_opened(pgp("alpha", f"::\n{line}\n\njunk\n")))) == ()
    assert outgoing(mailed(f"::\n{line}\n\njunk\n")) == ()


@pytest.mark.parametrize(
    ("said", "least", "most"),
    [
        ("+2:00", 7200, 7200),
        ("+02:30", 9000, 9000),
        ("+:30", 1800, 1800),
        ("+5:00r", 0, 18000),
        ("18:00", 5 * 3600 + 26 * 60, 5 * 3600 + 26 * 60),  # it is 12:34 (UTC)
    ],
)
def test_latent_time(said: str, least: float, most: float) -> None:
    text = f"\n::\nAnon-To: {BOB}\nLatent-Time: {said}\n\ntext\n"
    (mail,) = outgoing(mailed(to_be_opened(pgp("alpha", text))))
    assert least <= mail.latent <= most
    assert parts(mail)[1] == "text\n"


def test_a_chain_of_two() -> None:
    inner = to_be_opened(pgp("bravo", f"\n::\nAnon-To: {BOB}\n\ntext\n"))
    to, _, body = one(mailed(to_be_opened(pgp("alpha", f"\n::\nAnon-To: {BRAVO}\n\n{inner}"))))
    assert (to, body) == (BRAVO, inner)
    assert one(mailed(body), "bravo")[::2] == (BOB, "text\n")


# -- what the remailer program does besides (rem1.c) ----------------------------------------------


def test_cutmarks_take_a_signature_off() -> None:
    _, _, body = one(
        mailed(f"::\nAnon-To: {BOB}\nCutmarks: --\n\nkept\n--\nUser, user@sender.test\n")
    )
    assert body == "kept\n"


def test_a_message_after_a_cutmark_is_read_by_itself() -> None:
    second = "::\nAnon-To: carol@other.test\n\nsecond\n"
    mails = outgoing(mailed(f"::\nAnon-To: {BOB}\nCutmarks: ==\n\nfirst\n==\n{second}==\npad\n"))
    assert [(mail.recipient, parts(mail)[1]) for mail in mails] == [
        (BOB, "first\n"),
        ("carol@other.test", "second\n"),
    ]


def test_what_follows_two_asterisks_is_encrypted_to_the_phrase() -> None:
    _, _, body = one(mailed(f"::\nAnon-To: {BOB}\nEncrypt-Key: a phrase\n\nin clear\n**\nsecret\n"))
    before, _, message = body.partition("**\n")
    assert before == "in clear\n"
    opened = openpgp.unlock(message.encode(), "a phrase")
    assert opened is not None
    assert opened.replace(b"\r\n", b"\n") == b"secret\n"


def test_inflate_adds_garbage_between_its_marks() -> None:
    _, _, body = one(mailed(f"::\nAnon-To: {BOB}\nInflate: 3\n\ntext\n"))
    found = re.fullmatch(
        r"text\n\n?-----BEGIN GARBAGE-----\n(.*)-----END GARBAGE-----\n", body, re.DOTALL
    )
    assert found
    assert 3000 < len(found[1]) < 3300


@pytest.mark.parametrize("limit", ["Max-Size: 1", "MaxSize: 1", "Max-Date: 1 Jan 2026"])
def test_a_limit_that_is_passed(limit: str) -> None:
    text = f"::\nAnon-To: {BOB}\n{limit}\n\n" + "x" * 60 + ("\n" + "x" * 60) * 40
    with pytest.raises(Dropped):
        outgoing(mailed(to_be_opened(pgp("alpha", text))))
    kept = limit.replace("1 Jan", "30 Dec").replace(": 1", ": 10")
    assert len(outgoing(mailed(to_be_opened(pgp("alpha", text.replace(limit, kept)))))) == 1


# -- reply blocks as Mixmaster's client makes them -------------------------------------------------


def test_a_reply_block_with_a_phrase_for_each_hop() -> None:
    """t1_encrypt puts the line `**` behind each layer's armour, the outermost's too."""
    block = ""
    to, phrases = BOB, {"charlie": "third", "bravo": "second", "alpha": "first"}
    for name, phrase in phrases.items():
        layer = f"::\nAnon-To: {to}\nLatent-Time: +0:10r\nEncrypt-Key: {phrase}\n\n{block}"
        block = to_be_opened(pgp(name, layer)) + "\n**\n"
        to = address(name)
    body = block + "The answer.\n"
    for name in ("alpha", "bravo", "charlie"):
        assert "The answer." not in body or name == "alpha"
        to, _, body = one(mailed(body), name)
    assert to == BOB
    for phrase in phrases.values():
        opened = openpgp.unlock(body[body.index("-----BEGIN") :].encode(), phrase)
        assert opened is not None
        body = opened.decode().replace("\r\n", "\n")
    assert body.lstrip("\n*") == "The answer.\n"
