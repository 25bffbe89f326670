"""The second implementation: it agrees with the vectors of docs/link.md, and talks to ours."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
import second
from node_web import directory, free_port, pair, peer, write_pair

from remailer.directory import Directory, Peer
from remailer.link.cells import Word
from remailer.link.paced import CellsLink
from remailer.link.pacer import Task
from remailer.link.smtp import Outcome, Unreachable
from remailer.party import Party

VECTORS = json.loads((Path(__file__).parents[2] / "docs" / "link.json").read_text())
RATE = 50.0
OURS, THEIRS = pair("ours"), pair("second")
WORDS = {"HAVE": second.HAVE, "STORED": second.STORED, "LATER": 3, "REFUSED": 4}


def message(times: int) -> bytes:
    return cast(bytes, VECTORS["text"].encode() * times)


def cell(vector: dict[str, Any]) -> bytes:
    """A vector's cell, as the second implementation writes it."""
    of = vector["part"]
    part = second.part_of(message(of["times"]), of["index"]) if of else None
    answers = [(WORDS[w], bytes.fromhex(t), have) for w, t, have in vector["answers"]]
    return second.write(part, answers)


@pytest.mark.parametrize("vector", VECTORS["cells"], ids=lambda v: v["name"])
def test_it_writes_and_reads_the_cells_of_the_vectors(vector: dict[str, Any]) -> None:
    made = cell(vector)
    assert made.startswith(bytes.fromhex(vector["head"]))
    assert hashlib.sha256(made).hexdigest() == vector["sha256"]
    assert second.write(*second.read(made)) == made


@pytest.mark.parametrize("change", VECTORS["refused"]["changes"], ids=lambda c: c["name"])
def test_it_refuses_what_the_vectors_say(change: dict[str, Any]) -> None:
    good = bytearray(cell(VECTORS["refused"]["good"]))
    second.read(bytes(good))
    new = bytes.fromhex(change["hex"])
    good[change["at"] : change["at"] + len(new)] = new
    with pytest.raises(second.Broken):
        second.read(bytes(good))


@pytest.mark.parametrize("talk", VECTORS["talks"], ids=lambda t: t["name"])
def test_it_answers_as_the_vectors_say(talk: dict[str, Any]) -> None:
    now = 0.0
    inbox = second.Inbox(lambda: now)
    for step in talk["steps"]:
        now += step.get("seconds", 0)
        if "becomes" in step:
            times, word = step["becomes"]
            inbox.became(message(times), WORDS[word])
        elif "part" in step:
            transfer, size, index, data = second.part_of(message(step["part"][0]), step["part"][1])
            transfer = bytes.fromhex(step.get("transfer", transfer.hex()))
            if step.get("cut"):
                with pytest.raises(second.Broken):
                    inbox.take((transfer, step.get("size", size), index, data))
                return
            inbox.take((transfer, size, index, data))
        said = [
            (WORDS[word], second.transfer_id(message(times)), have)
            for word, times, have in step.get("answers", ())
        ]
        assert inbox.say() == said


@pytest.mark.parametrize("sending", VECTORS["sendings"], ids=lambda s: s["name"])
def test_it_sends_as_the_vectors_say(sending: dict[str, Any]) -> None:
    outbox = second.Outbox()
    for step in sending["steps"]:
        if "put" in step:
            outbox.waiting.put(message(step["put"]))
        elif "answer" in step:
            word, times, have = step["answer"]
            answer = WORDS[word], second.transfer_id(message(times)), have
            if step.get("cut"):
                with pytest.raises(second.Broken):
                    outbox.answered(*answer)
                return
            outbox.answered(*answer)
        else:
            wanted = step["next"] and second.part_of(message(step["next"][0]), step["next"][1])
            assert outbox.next() == wanted


@dataclass
class Both:
    """Our link and theirs."""

    ours: CellsLink
    theirs: second.Second
    entry: Peer
    """Theirs, in the directory."""
    got: list[bytes] = field(default_factory=list)
    """What came to us."""
    taken: list[bytes] = field(default_factory=list)
    """What came to them."""
    words: list[Word] = field(default_factory=list)
    """What we say to the next messages, before all is stored."""


def entries(ours: str, theirs: str, ports: tuple[int, int]) -> Directory:
    """Who calls follows from the addresses."""
    found = peer("ours", ports[0], OURS[1], speaks="cells")
    other = peer("second", ports[1], THEIRS[1], speaks="cells")
    return directory(
        found.model_copy(update={"hosts": (ours,)}), other.model_copy(update={"hosts": (theirs,)})
    )


@pytest.fixture(params=["we call", "they call"])
async def both(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Both]:
    we = request.param == "we call"
    addresses = ("127.0.0.1", "127.0.0.2") if we else ("127.0.0.2", "127.0.0.1")
    ports = free_port(), free_port()
    known = entries(*addresses, ports)
    certificate, key = write_pair(tmp_path, "ours", OURS)
    task = Task(
        known.remailers[0].party, certificate, key,
        tuple(one.party for one in known.remailers), 1 / RATE,
    )  # fmt: skip

    async def take(party: Party, mail: bytes, transfer: bytes) -> Word:
        word = made.words.pop(0) if made.words else Word.STORED
        if word is Word.STORED:
            made.got.append(mail)
        return word

    def store(mail: bytes) -> int:
        made.taken.append(mail)
        return second.STORED

    link = CellsLink(task, take)
    theirs = second.Second(
        *write_pair(tmp_path, "second", THEIRS), OURS[1].strip() + "\n", RATE, store
    )
    made = Both(link, theirs, known.remailers[1])
    opened = await link.open(lambda _: asyncio.Protocol(), addresses[0], ports[0])
    listening = socket.create_server((addresses[1], ports[1]))
    stop = threading.Event()
    again: Callable[[], None] = (
        (lambda: theirs.called(listening)) if we else (lambda: theirs.call(addresses[0], ports[0]))
    )
    thread = threading.Thread(target=keep, args=(again, stop), daemon=True)
    thread.start()
    yield made
    stop.set()
    link.close()
    opened.close()
    listening.close()


def keep(talk: Callable[[], None], stop: threading.Event) -> None:
    """One connection after the other."""
    while not stop.wait(0.1):
        with contextlib.suppress(OSError):
            talk()


async def send(both: Both, mail: bytes) -> Outcome:
    """As delivery does it: again, if the link broke."""
    while True:
        try:
            return await (await both.ours.connect(both.entry)).send("remailer@second", mail)
        except Unreachable:
            await asyncio.sleep(0.05)


async def end(both: Both) -> tuple[bytes, int]:
    return await asyncio.to_thread(both.theirs.outbox.ends.get, True, 30)


async def test_messages_go_both_ways(both: Both) -> None:
    big = message(30_000)
    assert await send(both, big) is Outcome.DELIVERED
    assert both.taken == [big]
    for mail in (message(1), big):
        both.theirs.outbox.waiting.put(mail)
    assert {await end(both), await end(both)} == {
        (message(1), second.STORED),
        (big, second.STORED),
    }
    assert sorted(both.got) == sorted([message(1), big])


async def test_what_we_cannot_store_is_sent_again(both: Both) -> None:
    both.words = [Word.LATER, Word.REFUSED]
    for word in (second.LATER, second.REFUSED, second.STORED):
        both.theirs.outbox.waiting.put(message(2))
        assert await end(both) == (message(2), word)
    assert both.got == [message(2)]


async def test_a_cut_in_the_middle_loses_and_doubles_nothing(both: Both) -> None:
    mails = [message(20_000 + number) for number in range(3)]
    for mail in mails:
        both.theirs.outbox.waiting.put(mail)
    sending = [asyncio.create_task(send(both, mail)) for mail in mails]
    for _ in range(3):
        await asyncio.sleep(0.4)
        both.theirs.cut()
    assert [await one for one in sending] == [Outcome.DELIVERED] * 3
    ends = [await end(both) for _ in mails]
    assert {mail for mail, _ in ends} == set(mails)
    assert sorted(both.got) == sorted(mails)
    assert sorted(both.taken) == sorted(mails)
