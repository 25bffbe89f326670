"""What a user does by hand works on a real web: docs/by-hand.md, and the line of `make up`."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from docker.models.containers import Container

from testbed import compose
from testbed.keys import put_file
from testbed.mailbox import Mailboxes
from testbed.traffic import body_of
from testbed.web import Web

pytestmark = pytest.mark.web

PAGE = compose.ROOT / "docs" / "by-hand.md"
HOME = "/home/user"


@pytest.fixture
def user(web: Web) -> Iterator[Container]:
    """A user's machine with gpg and swaks, and the two files that `make up` names."""
    container = web.docker.containers.create(
        web.images["user"],
        ["sleep", "infinity"],
        network_mode="host",
        user="root",
        init=True,
        labels={"unlogged.web": web.topology.web},
    )
    try:
        for name in ("alice.swaksrc", "directory.json"):
            path = web.state / name
            put_file(container, HOME, path.name, path.read_bytes(), 0o600)
        container.start()
        yield container
    finally:
        container.remove(force=True)


def in_shell(container: Container, script: str) -> None:
    variables = {
        "DIRECTORY": f"{HOME}/directory.json",
        "SWAKS_CONFIG": f"{HOME}/alice.swaksrc",
        "FROM": "alice@sender.test",
        "TO": "bob@recipient.test",
    }
    status, said = container.exec_run(["sh", "-eu", "-c", script], environment=variables)
    assert status == 0, said.decode()


def arrive(mailboxes: Mailboxes, *bodies: bytes, within: float = 30) -> list[bytes]:
    """The mails with these bodies, as soon as all are in somebody's mailbox."""
    deadline = time.monotonic() + within
    found: dict[bytes, bytes] = {}
    while set(bodies) - set(found):
        assert time.monotonic() < deadline, f"of {bodies} only {list(found)} arrived"
        found |= {body_of(mail): mail for mail in mailboxes.new()}
        time.sleep(0.2)
    return [found[body] for body in bodies]


def test_the_page_works_with_real_gpg_and_swaks(web: Web, user: Container) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    with Mailboxes(web) as mailboxes:
        in_shell(user, "\n".join(blocks))
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
