"""Trouble from outside: what a node has taken isn't lost, nothing is written, others are served.

Each fault is shown to be there before anything is claimed of it, `remailer check` is asked while it
lasts, and at its end the mail goes on. alpha's spool is a small volume, the better to fill it.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import smtplib
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from docker import DockerClient
from docker.models.containers import Container

from testbed.keys import put_file
from testbed.mailbox import Mailboxes, send
from testbed.topology import Node, Topology
from testbed.traffic import KB, Letter, Plan, submission
from testbed.web import Web
from testbed.wire.canary import Canaries
from webs import quiet

pytestmark = pytest.mark.web

SMALL = "{driver_opts: {type: tmpfs, device: tmpfs, o: 'size=192m,mode=1777'}}"
FLOOD = """
import smtplib, sys
print("flooding", flush=True)
while True:
    try:
        with smtplib.SMTP(sys.argv[1], 25, timeout=10) as node:
            while True:
                node.sendmail("", [sys.argv[2]], "Subject: x\\r\\n\\r\\n::\\r\\nNull:\\r\\n\\r\\n")
    except (OSError, smtplib.SMTPException):
        pass
"""

SLOW = """
import socket, sys, time
held = []
for _ in range(int(sys.argv[2])):
    held.append(socket.create_connection((sys.argv[1], 25)))
    held[-1].sendall(b"EHL")
print("holding", flush=True)
time.sleep(600)
"""
"""So many clients that say half a word."""


class SmallSpool(Web):
    """A web whose first node has a small volume for its spool."""

    def prepare(self, *arguments: object, **settings: object) -> None:
        super().prepare(*arguments, **settings)  # type: ignore[arg-type]
        file = self.state / "compose.yaml"
        name = self.topology.remailers[0].name
        text = file.read_text().replace(f"  {name}-spool: {{}}", f"  {name}-spool: {SMALL}")
        assert SMALL in text
        file.write_text(text)


@pytest.fixture(scope="module")
def web(docker_client: DockerClient, images: dict[str, str]) -> Iterator[Web]:
    name = f"pytest-trouble-{os.getpid()}"
    topology = Topology(name, nodes=2, pool="exponential:0.3", witness="plain")
    web = SmallSpool(docker_client, topology)
    web.up(images, quiet)
    try:
        yield web
    finally:
        web.down()


@pytest.fixture
def node(web: Web) -> Iterator[Node]:
    """A node that was never stopped and has written nothing, from before the trouble to its end."""
    node = web.topology.remailers[0]
    before = traces(web.container(node.name))
    yield node
    assert traces(web.container(node.name)) == before
    assert troubles(web, node) == ""


def traces(container: Container) -> tuple[object, ...]:
    """All that a node has said or written besides its spool's file, and since when it runs."""
    container.reload()
    listing = container.exec_run(
        ["ls", "-A", "/var/lib/remailer/spool", "/tmp", "/run", "/dev/shm"]
    )
    names = {line for line in listing.output.splitlines() if not line.startswith(b"spool.db")}
    names.discard(b"filler")
    changes = sorted(change["Path"] for change in container.diff() or ())
    return container.logs(), changes, container.attrs["State"]["StartedAt"], names


def troubles(web: Web, node: Node) -> str:
    """What `remailer check` names, as an operator asks for it.

    But for the prober's entries: it is a peer only while it probes.
    """
    asked = ["remailer", "check", "--resolver", web.topology.dns]
    status, said = web.container(node.name).exec_run(asked)
    lines = said.decode().splitlines()
    assert status in (0, 1), lines
    assert "ok      directory: has this node's keys" in lines
    return "\n".join(x for x in lines if not x.startswith(("ok ", "trouble peer probe")))


def letters(web: Web, *paths: tuple[str, ...], size: int = 2 * KB) -> list[Letter]:
    rng = random.Random(time.time_ns())
    plan = Plan(web.topology, Canaries.new(rng), rng)
    return [plan.add("forward", path, size) for path in paths]


def deliver(web: Web, mail: list[Letter], within: float = 30) -> None:
    """Mail these as users do; they arrive, whole."""
    with Mailboxes(web) as mailboxes:
        asyncio.run(send(web, mail, lambda letter: None))
        assert mailboxes.collect(mail, within) == []
    assert all(letter.whole for letter in mail)


def hand_in(web: Web, letter: Letter, node: Node) -> int:
    """Give a letter to a node's port 25 ourselves: the code of its answer to the data."""
    to, mail = submission(letter, web.directory)
    with smtplib.SMTP(node.host, 25, timeout=30) as port:
        port.ehlo("test")
        port.mail(letter.sender)
        port.rcpt(to)
        return port.data(mail)[0]


@contextmanager
def paused(web: Web, service: str) -> Iterator[None]:
    """A container that is there, and doesn't say a word.

    Not `docker pause`: the kernel can't freeze who waits for a file system in user space, as on
    fuse-overlayfs, and Docker gives up then.
    """
    container = web.container(service)
    send_all(container, "STOP")
    try:
        deadline = time.monotonic() + 10  # who waits for a file system stops when that is over
        while states(container) != {b"T"}:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield
    finally:
        send_all(container, "CONT")


def states(container: Container) -> set[bytes]:
    """The states of all processes of a container, but for those that tell them."""
    said = container.exec_run(["sh", "-c", "cat /proc/[0-9]*/stat"]).output
    told = re.findall(rb"^\d+ \((.*)\) (\w) ", said, re.MULTILINE)
    return {state for name, state in told if name not in {b"sh", b"cat"}} - {b"Z"}


def send_all(container: Container, name: str) -> None:
    """Send a signal to all processes of a container."""
    container.kill(signal=f"SIG{name}")
    code, said = container.exec_run(["sh", "-c", f"kill -s {name} -- -1"])
    assert code == 0, said


@contextmanager
def strangers(web: Web, count: int, script: str, *arguments: str) -> Iterator[list[Container]]:
    """Hosts that run a script, each with an address of its own; when all have begun."""
    found = []
    try:
        for _ in range(count):
            found.append(
                web.docker.containers.run(
                    web.images["user"],
                    ["python3", "-c", script, *arguments],
                    network=f"{web.topology.web}_web",
                    labels={"unlogged.web": web.topology.web},
                    detach=True,
                )
            )
        deadline = time.monotonic() + 20
        while not all(container.logs() for container in found):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield found
    finally:
        for container in found:
            container.remove(force=True)


def test_one_that_floods(web: Web, node: Node) -> None:
    with strangers(web, 1, FLOOD, node.host, node.address) as (flooder,):
        deliver(web, letters(web, (node.name,), ("bravo", node.name)))
        flooder.reload()
        assert flooder.status == "running"


def test_a_hundred_slow_clients(web: Web, node: Node) -> None:
    with strangers(web, 5, SLOW, node.host, "20"):
        assert troubles(web, node).startswith("trouble connections: port 25 is nearly full")
        deliver(web, letters(web, (node.name,), (node.name,), ("bravo", node.name)))


def test_a_full_disk(web: Web, node: Node) -> None:
    container = web.container(node.name)
    filler = "/var/lib/remailer/spool/filler"
    taken, late = letters(web, (node.name,), (node.name,)), letters(web, (node.name,))
    with Mailboxes(web) as mailboxes:
        with paused(web, "recipient"):
            for letter in taken:
                assert hand_in(web, letter, node) == 250
            filled = container.exec_run(["sh", "-c", f"head -c 192M /dev/zero > {filler}"])
            assert b"No space left" in filled.output
            assert hand_in(web, late[0], node) == 452
            assert troubles(web, node).startswith("trouble disk: full")
        assert mailboxes.collect(taken, within=60) == [], "what was taken is delivered"
        asyncio.run(send(web, late, lambda letter: None))
        assert mailboxes.collect(late, within=3) == late, "what came then waits where it is"
        container.exec_run(["rm", filler])
        assert mailboxes.collect(late, within=30) == []
    assert all(letter.whole for letter in [*taken, *late])


def test_dns_that_does_not_answer(web: Web, node: Node) -> None:
    waiting = letters(web, (node.name,), (node.name, "bravo"))
    with Mailboxes(web) as mailboxes:
        with paused(web, "dns"):
            for letter in waiting:
                assert hand_in(web, letter, node) == 250
            assert troubles(web, node).startswith("trouble resolver: no answer")
            assert mailboxes.collect(waiting, within=1) == waiting
        assert mailboxes.collect(waiting, within=60) == []
    assert all(letter.whole for letter in waiting)


def test_a_host_that_greylists_and_refuses(web: Web, node: Node) -> None:
    grey, refused, other = mail = letters(web, *[(node.name,)] * 3)
    with Mailboxes(web) as mailboxes:
        with recipient_says(
            web, {grey.recipient: "450 4.2.0 Greylisted", refused.recipient: "550 5.1.1 Not here"}
        ):
            asyncio.run(send(web, mail, lambda letter: None))
            assert mailboxes.collect([other], within=30) == []
            deadline = time.monotonic() + 45  # the first wait after a 4xx is 15 to 30 s
            while (log := postfix_log(web)).count(f"<{grey.recipient}>: Recipient") < 2:
                assert time.monotonic() < deadline, "it isn't tried again"
                time.sleep(0.2)
            assert log.count(f"<{refused.recipient}>: Recipient") == 1
            assert mailboxes.collect([grey], within=0) == [grey]
            assert troubles(web, node) == "", "of mail it tells nothing"
        assert mailboxes.collect([grey], within=90) == []  # the second 30 to 60
    assert grey.whole
    assert other.whole
    assert not refused.delivered


@contextmanager
def recipient_says(web: Web, answers: dict[str, str]) -> Iterator[None]:
    """While this lasts, the recipient's Postfix answers so for these recipients."""
    host = web.container("recipient")
    table = "".join(f"{who.lower()} {said}\n" for who, said in answers.items())
    put_file(host, "/etc/postfix", "answers", table.encode(), 0o644)
    setting = "smtpd_recipient_restrictions"
    script = "postconf {} && postfix reload"
    rules = f"-e {setting}=check_recipient_access,texthash:/etc/postfix/answers"
    assert host.exec_run(["sh", "-c", script.format(rules)])[0] == 0
    try:
        yield
    finally:
        assert host.exec_run(["sh", "-c", script.format(f"-X {setting}")])[0] == 0


def postfix_log(web: Web) -> str:
    said = web.container("recipient").exec_run(["cat", "/var/log/mail.log"]).output
    return bytes(said).decode(errors="replace")
