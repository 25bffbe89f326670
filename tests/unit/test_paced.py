"""The node's side of links of cells: what it does, and doesn't do, when something goes wrong."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from node_web import directory, free_port, pair, peer, write_pair

from remailer.directory import Peer
from remailer.errors import SetupError
from remailer.link import paced
from remailer.link.cells import MOST_ANSWERS, Cell, End, Part, Word, encode, transfer_of
from remailer.link.hatch import Hatch
from remailer.link.paced import CellsLink
from remailer.link.pacer import Task
from remailer.link.smtp import Interrupted, Outcome, Unreachable
from remailer.party import Party

PERIOD = 0.05
KEYS = {"alpha": pair("alpha"), "bravo": pair("bravo")}
MAIL = b"A: b\r\n\r\nx\r\n"


class Two:
    """Two links, each with a pacer of its own; what the second is sent waits to be stored."""

    def __init__(self, folder: Path) -> None:
        entries = [peer(name, free_port(), keys[1], speaks="cells") for name, keys in KEYS.items()]
        known = directory(*entries)
        self.may_store = asyncio.Event()
        self.stored: list[bytes] = []
        self.links = [
            CellsLink(
                Task(entry.party, *write_pair(folder, entry.name, KEYS[entry.name]),
                     tuple(one.party for one in known.remailers), PERIOD),
                self._take,
            )
            for entry in known.remailers
        ]  # fmt: skip
        self.alpha, self.bravo = self.links
        self.entries: tuple[Peer, ...] = known.remailers

    async def _take(self, party: Party, mail: bytes, transfer: bytes) -> Word:
        await self.may_store.wait()
        self.stored.append(mail)
        return Word.STORED


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Two]:
    made = Two(tmp_path)
    opened = [
        await link.open(lambda _: asyncio.Protocol(), "127.0.0.1", entry.link_port)
        for link, entry in zip(made.links, made.entries, strict=True)
    ]
    yield made
    for link, server in zip(made.links, opened, strict=True):
        link.close()
        server.close()


async def test_a_peer_that_says_nothing_of_a_mail_keeps_its_connection(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = await two.alpha.connect(two.entries[1])
    before = two.alpha._pairs[1].connection
    with monkeypatch.context() as patched:
        patched.setattr(paced, "DATA_SECONDS", 0.2)
        with pytest.raises(Unreachable, match="no answer"):
            await messages.send("remailer@bravo.remailer.test", MAIL)
    again = asyncio.create_task(messages.send("remailer@bravo.remailer.test", MAIL))
    await asyncio.sleep(4 * PERIOD)
    two.may_store.set()
    async with asyncio.timeout(10):
        assert await again is Outcome.DELIVERED
    assert two.stored == [MAIL]
    assert two.alpha._pairs[1].connection == before


@pytest.mark.parametrize("trouble", [False, True])
async def test_when_links_come_back_after_the_pacers_end_is_not_for_mail_to_say(
    two: Two, monkeypatch: pytest.MonkeyPatch, trouble: bool
) -> None:
    await two.alpha.connect(two.entries[1])
    process, pair_ = two.alpha._process, two.alpha._pairs[1]
    assert process
    process.kill()
    ended = time.monotonic()
    async with asyncio.timeout(20):
        while pair_.up.is_set():
            await asyncio.sleep(0.01)
        waiting = asyncio.create_task(two.alpha.connect(two.entries[1]))
        if trouble:

            def no_pair() -> None:
                monkeypatch.undo()
                raise OSError("no descriptor left")

            monkeypatch.setattr(socket, "socketpair", no_pair)
        while two.alpha._process is process:
            await asyncio.sleep(0.01)
        assert time.monotonic() - ended >= paced.RESTART_SECONDS * (1 + trouble)
        await waiting


async def test_a_pacer_that_ends_at_once_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = SimpleNamespace(kill=lambda: None)
    monkeypatch.setattr(paced, "_spawn", lambda *_: gone)
    link = Two(tmp_path).alpha
    async with asyncio.timeout(5):
        with pytest.raises(SetupError, match="the pacer doesn't start: it ended at once"):
            await link.start()
    link.close()


async def test_a_pacer_that_dies_before_it_knows_its_task_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = Two(tmp_path).alpha
    one = link._task.parties[0]
    link._task = replace(  # more than a pipe holds
        link._task, parties=tuple(replace(one, name="a" * 1000 + str(n)) for n in range(100))
    )
    monkeypatch.setattr("multiprocessing.spawn.get_executable", lambda: b"/bin/true")
    async with asyncio.timeout(5):
        with pytest.raises(SetupError, match="the pacer doesn't start"):
            await link.start()
    link.close()


async def test_the_end_of_a_pacer_that_was_given_up_breaks_no_link_of_the_next(two: Two) -> None:
    pair_ = two.alpha._pairs[1]
    await two.alpha.connect(two.entries[1])
    two.alpha._lost(Hatch(two.alpha._told, lambda: None))
    assert pair_.up.is_set()
    assert two.alpha._hatch


async def test_a_mail_that_was_interrupted_says_so(two: Two) -> None:
    messages = await two.alpha.connect(two.entries[1])
    sending = asyncio.create_task(messages.send("remailer@bravo.remailer.test", MAIL))
    await asyncio.sleep(2 * PERIOD)
    two.alpha.hang_up(two.alpha._pairs[1])
    async with asyncio.timeout(10):
        with pytest.raises(Interrupted):
            await sending


def test_a_peer_that_reads_nothing_lets_no_answers_heap_up() -> None:
    end = End(lambda: 0.0)
    for number in range(3 * MOST_ANSWERS):
        message = b"%d" % number
        end.take(encode(Cell(Part(transfer_of(message), len(message), 0, message))))
        end.answer(transfer_of(message), Word.REFUSED)
    assert len(end._receiver._answers) == MOST_ANSWERS
