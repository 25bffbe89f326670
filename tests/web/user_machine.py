"""A user's own machine, beside a web: a container with gpg, swaks and mail programs."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

from docker.models.containers import Container

from testbed import compose
from testbed.keys import put_file
from testbed.mailbox import Mailboxes
from testbed.traffic import body_of
from testbed.web import Web

HOME = "/home/user"
PAGE = compose.ROOT / "docs" / "by-hand.md"


@contextmanager
def machine(web: Web) -> Iterator[Container]:
    """The machine, with the files that `make up` names: the directory, and users' settings."""
    container = web.docker.containers.create(
        web.images["user"],
        ["sleep", "infinity"],
        network_mode="host",
        user="root",
        init=True,
        labels={"unlogged.web": web.topology.web},
    )
    try:
        for name in ("alice.swaksrc", "bob.swaksrc", "directory.json"):
            put_file(container, HOME, name, (web.state / name).read_bytes(), 0o600)
        container.start()
        yield container
    finally:
        container.remove(force=True)


def in_shell(container: Container, script: str, **variables: str) -> bytes:
    """Run a script as docs/by-hand.md has it run; what it said. Its failure fails the test."""
    variables = {
        "DIRECTORY": f"{HOME}/directory.json",
        "SWAKS_CONFIG": f"{HOME}/alice.swaksrc",
        "FROM": "alice@sender.test",
        "TO": "bob@recipient.test",
        "LC_ALL": "C.UTF-8",
    } | variables
    status, said = container.exec_run(
        ["sh", "-eu", "-c", script], environment=variables, workdir=HOME
    )
    assert status == 0, said.decode()
    return bytes(said)


def page_blocks(kind: str = "sh") -> list[str]:
    """The commands of docs/by-hand.md, in order; `sh open` are those for a mail that arrived."""
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)


def arrive(mailboxes: Mailboxes, *marks: bytes, within: float = 30) -> list[bytes]:
    """The mails with these bodies or header lines, as soon as all are in somebody's mailbox."""
    deadline = time.monotonic() + within
    found: dict[bytes, bytes] = {}
    while set(marks) - set(found):
        assert time.monotonic() < deadline, f"of {marks} only {set(marks) & set(found)} arrived"
        for mail in mailboxes.new():
            header = mail.partition(b"\r\n\r\n")[0].split(b"\r\n")
            found |= dict.fromkeys([body_of(mail), *header], mail)
        time.sleep(0.2)
    return [found[mark] for mark in marks]
