"""Nodes that speak cells: mail goes through, survives, is never doubled, and nothing is said."""

from __future__ import annotations

import asyncio
import os
import signal
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import test_node
from node_web import free_port
from test_node import NAMES, Web

from leaks.rows.cells import CELLS
from remailer.directory import Directory
from remailer.init import make
from remailer.keys import Identity
from testbed.attack.physical import PHYSICAL
from testbed.topology import Link

NODE = test_node.NODE.replace("int(dns))", "int(dns), cells=40.0)")
BIG = b"0123456789abcdef\r\n" * 20_000


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys of three nodes, and their directory."""
    folder = tmp_path_factory.mktemp("cells")
    entries = []
    for name in NAMES:
        (folder / name / "keys").mkdir(parents=True)
        identity = Identity(
            name=name,
            address=f"remailer@{name}.remailer.test",
            hosts=("127.0.0.1",),
            link_port=free_port(),
            speaks="cells",
        )
        entries.append(make(folder / name / "keys", identity))
    (folder / "directory.json").write_text(Directory(remailers=tuple(entries)).model_dump_json())
    return folder


@pytest.fixture
async def web(made: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Web]:
    monkeypatch.setattr(test_node, "NODE", NODE)
    web = Web(made)
    await web.start()
    yield web
    await web.stop()


def children(pid: int) -> list[int]:
    """The processes that a process started."""
    told = (path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children"))
    return [int(child) for line in told for child in line.split()]


def pacer_of(pid: int) -> int:
    """A node's pacer: the last process that it started at its start."""
    return max(children(pid))


async def test_mail_goes_through_a_chain_over_cells(web: Web) -> None:
    for name in NAMES:
        await web.run(name)
    for text in (b"one\r\n", BIG):
        await web.forward("alpha,bravo,charlie", text)
        (got,) = await web.receive()
        assert got.endswith(b"\r\n\r\n" + text)
    for name in NAMES:
        assert await web.end(name) == (0, b"")


async def test_a_killed_node_loses_and_doubles_nothing(web: Web) -> None:
    for name in NAMES:
        await web.run(name)
    texts = {b"%d\r\n" % number + BIG for number in range(6)}
    for text in texts:
        await web.forward("alpha,bravo", text)
    for name in ("alpha", "bravo", "alpha", "bravo"):
        await asyncio.sleep(0.4)  # in the midst of it, wherever that is
        await web.end(name, signal.SIGKILL)
        await web.run(name)
    got = {mail.partition(b"\r\n\r\n")[2] for mail in await web.receive(len(texts))}
    assert got == texts
    await asyncio.sleep(1)
    assert web.got.empty()


async def test_a_killed_pacer_is_replaced_and_loses_nothing(web: Web) -> None:
    for name in NAMES:
        await web.run(name)
    await web.forward("alpha,bravo", BIG)
    await asyncio.sleep(0.3)
    os.kill(pacer_of(web.nodes["alpha"].pid), signal.SIGKILL)
    (got,) = await web.receive()
    assert got.endswith(BIG)
    assert web.got.empty()


async def test_whatever_a_node_started_ends_with_it(web: Web) -> None:
    for name in NAMES:
        await web.run(name)
    await web.forward("alpha,bravo,charlie", b"all links are up\r\n")
    await web.receive()
    started = [child for node in web.nodes.values() for child in children(node.pid)]
    for node in web.nodes.values():  # all at one moment: links break as the nodes go
        node.kill()
    async with asyncio.timeout(5):
        while any(Path(f"/proc/{pid}").exists() and state(pid) != "Z" for pid in started):
            await asyncio.sleep(0.05)


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


async def test_a_node_that_starts_with_mail_for_a_peer_can_be_called(web: Web) -> None:
    await web.run("alpha")
    await web.forward("alpha,bravo", b"waits\r\n")
    await asyncio.sleep(1)  # peeled by now: what is left to do is to hand it to bravo
    await web.end("alpha", signal.SIGKILL)
    await web.run("alpha")
    alpha = web.directory.named("alpha")
    assert alpha
    _, writer = await asyncio.open_connection(alpha.hosts[0], alpha.link_port)
    writer.close()


# -- what is planted in links, at every node, has to carry mail ----------------------------------

PLANTED = """
import sys
sys.path.append({tests!r})
from leaks import {plant}
if __name__ == "__main__":
{node}
"""


LINKS = {one.name for one in (*PHYSICAL, *CELLS) if one.link is Link.CELLS}
CARRYING = sorted({*LINKS, "link_clear"} - {"caller_by_address"})
"""Here all nodes call from one address."""


def planted(web: Web, folder: Path, plant: str, cells: float) -> None:
    """Have nodes start with a plant in all their processes, as an image does."""
    script = folder / "planted.py"
    node = textwrap.indent(NODE.replace("cells=40.0", f"cells={cells}"), "    ")
    tests = str(Path(__file__).parents[1])
    script.write_text(PLANTED.format(tests=tests, plant=plant, node=node))
    web.program = (str(script),)


@pytest.mark.parametrize("plant", CARRYING)
async def test_mail_goes_through_nodes_with_a_plant(web: Web, plant: str, tmp_path: Path) -> None:
    planted(web, tmp_path, plant, cells=20.0)
    for name in NAMES:
        await web.run(name)
    texts = {b"mail %d\r\n" % number for number in range(3)} | {BIG[: 18 * 1_700]}
    for text in texts:
        await web.forward("alpha,bravo,charlie", text)
    assert {mail.partition(b"\r\n\r\n")[2] for mail in await web.receive(4)} == texts


async def test_the_mail_that_is_planted_past_the_pacer_waits_for_no_cell(
    web: Web, tmp_path: Path
) -> None:
    planted(web, tmp_path, "past_pacer; past_pacer.hurry(1.0)", cells=2.0)
    for name in NAMES:
        await web.run(name)
    await web.forward("alpha,bravo,charlie", b"the links are up\r\n")
    await web.receive()
    await web.forward("alpha,bravo,charlie", BIG)  # as cells it would take ten seconds a link
    async with asyncio.timeout(15):
        (got,) = await web.receive()
    assert got.endswith(b"\r\n\r\n" + BIG)
    assert web.got.empty()
