"""What a user does by hand works on a real web: docs/by-hand.md, and the line of `make up`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker.models.containers import Container
from user_machine import HOME, arrive, in_shell, machine, page_blocks

from testbed.keys import put_file
from testbed.mailbox import Mailboxes
from testbed.web import Web

pytestmark = pytest.mark.web


@pytest.fixture
def user(web: Web) -> Iterator[Container]:
    with machine(web) as container:
        yield container


def test_the_page_works_with_real_gpg_and_swaks(web: Web, user: Container) -> None:
    with Mailboxes(web) as mailboxes:
        in_shell(user, "\n".join(page_blocks()), TMPDIR=HOME)
        mail, answer, sealed = arrive(
            mailboxes,
            b"Sent by hand over two remailers.\r\n",
            b"Answered by hand, to nobody I know.\r\n",
            b"Subject: a sealed answer",
        )
    assert b"Subject: by hand\r\n" in mail
    assert b"alice" not in mail
    assert b"Subject: an answer\r\n" in answer
    assert b"To: alice@sender.test\r\n" in answer
    assert b"Answered" not in sealed
    put_file(user, HOME, "answer.txt", sealed, 0o600)
    (opening,) = page_blocks("sh open")
    # In the shell that the page began with.
    begun = "cd tmp.*; export GNUPGHOME=$PWD/keys; cp ../answer.txt ."
    said = in_shell(user, f"{begun}; {opening} cat text.txt")
    assert said == b"Answered by hand, and sealed twice.\r\n"


def remailer(*args: str, given: bytes = b"", home: Path) -> bytes:
    """What the command prints to a user who keeps his blocks there."""
    return subprocess.run(
        [sys.executable, "-m", "remailer", *args],
        input=given, capture_output=True, check=True,
        env=os.environ | {"HOME": str(home)},
    ).stdout  # fmt: skip


def test_an_answer_by_a_sealing_block_is_opened(web: Web, tmp_path: Path) -> None:
    directory = str(web.state / "directory.json")
    (tmp_path / "block").write_bytes(
        remailer(
            "block", "--directory", directory, "--to", "alice@sender.test", "--subject", "sealed",
            home=tmp_path,
        )
    )  # fmt: skip
    (tmp_path / "password").write_text(web.passwords["bob@recipient.test"])
    host = next(host for host in web.topology.mailhosts if host.domain == "recipient.test")
    text = "Grüße\r\n**\r\nfrom Bob\r\n".encode()
    with Mailboxes(web) as mailboxes:
        remailer(
            "answer", str(tmp_path / "block"), "-", "--from", "bob@recipient.test",
            "--server", "{}:{}".format(*web.published(host.name, 587)),
            "--user", "bob@recipient.test", "--password-file", str(tmp_path / "password"),
            given=text, home=tmp_path,
        )  # fmt: skip
        (mail,) = arrive(mailboxes, b"Subject: sealed")
    assert b"To: alice@sender.test\r\n" in mail
    assert b"Bob" not in mail
    assert remailer("open", "-", given=mail, home=tmp_path) == text


def test_the_line_that_make_up_prints_works(web: Web, user: Container) -> None:
    made = subprocess.run(
        [
            sys.executable, "-m", "remailer", "send",
            "--directory", str(web.state / "directory.json"),
            "--chain", "alpha,bravo,charlie", "--to", "bob@recipient.test",
            "--subject", "hello", "--print", "-",
        ],
        input=b"hello from a pipe\n", capture_output=True, check=True,
    ).stdout  # fmt: skip
    put_file(user, HOME, "letter", made, 0o600)
    to = web.topology.remailers[0].address
    with Mailboxes(web) as mailboxes:
        in_shell(user, f"cat {HOME}/letter | swaks --config $SWAKS_CONFIG --to {to} --data -")
        # swaks adds a line end, which goes on like any text after the armour.
        (mail,) = arrive(mailboxes, b"hello from a pipe\r\n\r\n")
    assert b"Subject: hello\r\n" in mail


def test_a_remailer_answers_those_who_ask_for_its_key(web: Web, user: Container) -> None:
    node = web.topology.remailers[0]
    asked = f"swaks --config $SWAKS_CONFIG --to {node.address} --header 'Subject: remailer-key'"
    with Mailboxes(web) as mailboxes:
        in_shell(user, f"{asked} --body 'please'")
        (mail,) = arrive(mailboxes, b"Subject: Re: remailer-key")
    header, _, body = mail.partition(b"\r\n\r\n")
    assert b"To: alice@sender.test\r\n" in header
    assert b"Auto-Submitted: auto-replied" in header
    assert f'$remailer{{"{node.name}"}} = "<{node.address}> cpunk pgp '.encode() in body
    key = web.directory.named(node.name)
    assert key is not None
    assert key.openpgp.split() == body[body.index(b"-----BEGIN") :].decode().split()
