"""The proxy's way from a mail to its message, and what its user is told of what waits."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
import remailers
from remailers import carry

from remailer.client.counter import PATIENCE_SECONDS, Backlog, Counter, Turn
from remailer.client.proxy import Known, Way
from remailer.client.submission import Submission
from remailer.directory import Directory
from remailer.errors import ChainError
from remailer.gate import Gate
from remailer.link.smtp import Outcome, listen
from remailer.listener import Door

BOB = "bob@recipient.test"


def way(*chain: str, speaks: str = "cells") -> Way:
    peers = (p.model_copy(update={"speaks": speaks}) for p in remailers.directory().remailers)
    known = Directory(remailers=tuple(peers))
    return Way(lambda: known, chain, rng=random.Random(1))


def mail(size: int) -> bytes:
    return b"From: alice@sender.test\r\n\r\n" + b"0123456789abcdef01\r\n" * (size // 20)


def test_mails_of_100_and_of_3000_bytes_become_messages_of_one_size() -> None:
    small, large, larger = (
        {len(way("alpha", "*", "*").message(mail(size), to)) for to in ([BOB], ["b@c.test", BOB])}
        for size in (100, 3000, 5000)
    )
    assert small == large
    assert len(small) == len(larger) == 1
    assert larger != small


def test_each_mail_has_a_chain_and_a_sealing_of_its_own() -> None:
    one = way("alpha", "*", "*")
    messages = [one.message(mail(100), [BOB]) for _ in range(8)]
    paths = []
    for message in messages:
        header, _, body = message.partition(b"\r\n\r\n")
        assert header == b"To: remailer@alpha.remailer.test"
        path, ((to, got),) = carry(Submission("remailer@alpha.remailer.test", body))
        assert (to, got.partition(b"\r\n\r\n")[2]) == (BOB, mail(100).partition(b"\r\n\r\n")[2])
        paths.append(tuple(path))
    assert len(set(messages)) == 8
    assert len(set(paths)) > 1
    assert {path[0] for path in paths} == {"alpha"}


def test_the_first_remailer_is_named_and_speaks_cells() -> None:
    assert way("alpha", "*").first().name == "alpha"
    with pytest.raises(ChainError, match="name the first remailer"):
        way("*", "*").first()
    with pytest.raises(ChainError, match="alpha speaks tls"):
        way("alpha", "*", speaks="tls").first()
    with pytest.raises(ChainError, match="no remailer 'none'"):
        way("none", "*").first()


def test_chains_are_drawn_from_those_that_can_be_sealed_for() -> None:
    peers = list(remailers.directory().remailers)
    peers[0] = peers[0].model_copy(update={"speaks": "cells"})
    peers[1] = peers[1].model_copy(update={"openpgp": "no key any more"})
    known = Directory(remailers=tuple(peers))
    drawn = Way(lambda: known, ("alpha", "*"), rng=random.Random(1))
    assert drawn.first().name == "alpha"
    for _ in range(20):
        drawn.message(mail(100), [BOB])
    with pytest.raises(ChainError, match=f"{peers[1].name}: OpenPGP"):
        Way(lambda: known, ("alpha", peers[1].name)).first()


def test_a_directory_that_changes_is_read_again(tmp_path: Path) -> None:
    whole = remailers.directory()
    fewer = Directory(remailers=whole.remailers[:2])
    path = tmp_path / "directory.json"
    path.write_text(whole.model_dump_json())
    known = Known(path)
    assert known() == whole
    path.write_text("{")
    assert known() == whole
    path.write_text(fewer.model_dump_json())
    assert known() == fewer
    path.unlink()
    assert known() == fewer


class Making:
    """A counter whose messages take their time."""

    def __init__(self) -> None:
        self.left: list[bytes] = []
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()

    async def make(self, mail: bytes, recipients: Sequence[str]) -> bytes:
        self.begun.set()
        await self.go_on.wait()
        return mail

    async def leave(self, message: bytes) -> None:
        self.left.append(message)


@pytest.mark.parametrize("stays", [True, False])
async def test_who_hangs_up_while_a_message_is_made_sends_it_again_and_it_goes_once(
    stays: bool,
) -> None:
    making, doors = Making(), Gate(5)
    desk = Counter(make=making.make, leave=making.leave, backlog=Backlog("alpha"))
    server = await listen(lambda: Door(desk, doors, lambda _: True), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<b@c.test>\r\nDATA\r\nx\r\n.\r\n")
    async with asyncio.timeout(10):
        await making.begun.wait()
        if not stays:
            writer.transport.abort()
            while doors.open:
                await asyncio.sleep(0.01)
        making.go_on.set()
        if stays:
            await reader.readuntil(b"250 2.0.0 OK\r\n")
        await asyncio.sleep(0.05)
    assert making.left == [b"x\r\n"] * stays
    writer.transport.abort()
    server.close()
    doors.close()


class Hop:
    """A first remailer that says what it is told to."""

    def __init__(self, says: Outcome) -> None:
        self.says = says

    async def send(self, recipient: str, mail: bytes) -> Outcome:
        return self.says

    async def end(self) -> None:
        pass

    def close(self) -> None:
        pass


async def test_mail_that_waits_too_long_is_told_to_who_brings_more() -> None:
    now = [0.0]
    backlog = Backlog("alpha", lambda: now[0])
    now[0] += 2 * PATIENCE_SECONDS
    assert backlog.trouble == ""  # nothing waits
    backlog.more(2)
    now[0] += PATIENCE_SECONDS
    assert backlog.trouble == ""
    now[0] += 1
    assert backlog.trouble.startswith("451 4.4.1 alpha")
    turn = Turn(Hop(Outcome.DELIVERED), backlog)
    assert await turn.send("remailer@alpha", b"") is Outcome.DELIVERED
    assert backlog.trouble == ""  # it goes on
    assert backlog.waiting == 1


async def test_mail_that_the_first_remailer_refuses_is_kept_and_told() -> None:
    hop, backlog = Hop(Outcome.REFUSED), Backlog("alpha")
    backlog.more()
    turn = Turn(hop, backlog)
    assert await turn.send("remailer@alpha", b"") is Outcome.DEFERRED
    assert backlog.trouble.startswith("554 5.3.5 alpha refuses")
    hop.says = Outcome.DELIVERED
    await turn.send("remailer@alpha", b"")
    assert backlog.trouble == ""
