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
    """Kill one node after the other with SIGKILL, each while mail is under way, and start it again."""
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


@pytest.mark.parametrize("seed", [1, 2])
def test_every_letter_arrives_once_though_nodes_are_killed(make_web: WebMaker, seed: int) -> None:
    rng = random.Random(seed)
    with make_web(nodes=3, pool="exponential:0.5") as web:
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
    check(plan.letters)


def check(letters: list[Letter]) -> None:
    """Byte for byte; what came twice left the last remailer twice (RFC 1047), not an earlier one."""
    for letter in letters:
        assert len({message_id(mail) for mail in letter.delivered}) == 1, (
            "doubled between remailers"
        )
        letter.delivered = letter.delivered[:1]
        assert letter.whole


def drained(web: Web) -> None:
    """Let every node tell that it stops cleanly: what was still to come has come."""
    for node in web.topology.remailers:
        web.container(node.name).stop(timeout=5)
