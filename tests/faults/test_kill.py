"""kill -9 in the middle of a load loses no mail and doubles none between remailers."""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from testbed.mailbox import Mailboxes, send
from testbed.traffic import KB, Letter, Plan
from testbed.web import Web
from testbed.wire.canary import Canaries
from webs import WebMaker

pytestmark = pytest.mark.web

LETTERS = 60
KILLS = 8


def message_id(mail: bytes) -> bytes:
    """A delivered mail's Message-ID: made once, when the last remailer spooled it."""
    found = re.search(rb"(?im)^Message-ID: *(\S+)", mail)
    assert found
    return found[1]


def kill_nodes(web: Web, rng: random.Random) -> Counter[str]:
    """Kill one node after the other (SIGKILL) while mail is under way, and start it again."""
    killed: Counter[str] = Counter()
    for _ in range(KILLS):
        node = rng.choice(web.topology.remailers)
        container = web.container(node.name)
        container.kill(signal="SIGKILL")
        container.wait()
        container.reload()
        assert container.attrs["State"]["ExitCode"] == 137, "the node really was killed"
        container.start()
        killed[node.name] += 1
    return killed


def test_every_letter_arrives_once_though_nodes_are_killed(make_web: WebMaker) -> None:
    rng = random.Random(1)
    with make_web(nodes=3, pool="exponential:0.5", witness="plain") as web:
        plan = Plan(web.topology, Canaries.new(rng), rng)
        for number in range(LETTERS):
            plan.add("reply" if number % 3 == 0 else "forward", plan.path(3), 4 * KB)
        with Mailboxes(web) as mailboxes, ThreadPoolExecutor(1) as pool:
            killing = pool.submit(kill_nodes, web, rng)
            asyncio.run(send(web, plan.letters, lambda letter: None))
            assert sum(killing.result().values()) == KILLS
            missing = mailboxes.collect(plan.letters, within=120)
            assert missing == []
            drained(web)
            mailboxes.collect(plan.letters, within=0)
            repeated = repeated_by_mail_hosts(web)
    for letter in plan.letters:
        check(letter, twice=letter.message_id in repeated)


def check(letter: Letter, *, twice: bool) -> None:
    """Byte for byte; what came twice left a mail host or the last remailer twice (RFC 1047)."""
    made = {message_id(mail) for mail in letter.delivered}
    assert len(made) <= 1 + twice, f"doubled between remailers: {letter.path}"
    letter.delivered = letter.delivered[:1]
    assert letter.whole


def repeated_by_mail_hosts(web: Web) -> set[str]:
    """Message-IDs of the mails that Postfix may have handed to the first remailer twice.

    A remailer that is killed between having a mail on disk and saying so gets it again: Postfix
    logs each such case.
    """
    found = set()
    for host in web.topology.mailhosts:
        log = web.container(host.name).exec_run(["cat", "/var/log/mail.log"]).output.decode()
        ids = dict(re.findall(r"cleanup\[\d+\]: (\w+): message-id=(\S+)", log))
        cut = re.findall(r"smtp\[\d+\]: (\w+): to=.* status=deferred \(.*end of data", log)
        found |= {ids[queue_id] for queue_id in cut}
    return found


def drained(web: Web) -> None:
    """Let every node tell that it stops cleanly: what was still to come has come."""
    for node in web.topology.remailers:
        web.container(node.name).stop(timeout=5)
