"""What a user does by hand works on a real web: docs/by-hand.md, and the line of `make up`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

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
        in_shell(user, "\n".join(page_blocks()))
        mail, answer = arrive(
            mailboxes,
            b"Sent by hand over two remailers.\r\n",
            b"Answered by hand, to nobody I know.\r\n",
        )
    assert b"Subject: by hand\r\n" in mail
    assert b"alice" not in mail
    assert b"Subject: an answer\r\n" in answer
    assert b"To: alice@sender.test\r\n" in answer


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
