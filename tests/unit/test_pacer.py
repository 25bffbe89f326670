"""The pacer by real TLS on loopback: who calls, who becomes the link, who gets nothing."""

from __future__ import annotations

import asyncio
import gc
import random
import socket
import ssl
import weakref
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from node_web import directory, free_port, pair, peer, write_pair

from remailer.directory import Directory
from remailer.errors import SetupError
from remailer.guests import Guest
from remailer.keys import Keys
from remailer.link import calls, door
from remailer.link.cells import Cell, Part, decode, encode, transfer_of
from remailer.link.geometry import CELL
from remailer.link.hatch import Event, Hatch
from remailer.link.line import WHOLE, Tls
from remailer.link.pacer import MOST_AT_ONCE, Pacer, Task
from remailer.link.pins import Pins
from remailer.link.smtp import Unreachable
from remailer.link.visit import Visit

PERIOD = 0.05
ALPHA, BRAVO, STRANGER = pair("alpha"), pair("bravo"), pair("stranger")
MAIL = encode(Cell(Part(transfer_of(b"x"), 1, 0, b"x")))


class Side:
    """A pacer in this process, and what it tells its node."""

    def __init__(
        self,
        folder: Path,
        name: str,
        keys: tuple[str, str],
        known: Directory,
        *guests: Guest,
    ) -> None:
        ours, theirs = socket.socketpair()
        entry = known.named(name)
        assert entry
        parties = tuple(one.party for one in (*known.remailers, *guests))
        task = Task(entry.party, *write_pair(folder, name, keys), parties, PERIOD)
        port = socket.create_server(("127.0.0.1", entry.link_port))
        self.pacer = Pacer(task, theirs, [port])
        self.running = asyncio.create_task(self.pacer.run())
        self.woken: set[bool] = set()
        """Whether the loop would have read its links when it had told of a tick."""
        self.told: list[tuple[Event, int, bytes]] = []
        self.changed = asyncio.Event()
        self.hatch = Hatch(self._told, lambda: None)
        self._ours = ours

    async def join(self) -> Side:
        """Hear what it tells."""
        await asyncio.get_running_loop().create_connection(lambda: self.hatch, sock=self._ours)
        return self

    def _told(self, event: Event, place: int, connection: int, cell: bytes) -> None:
        self.told.append((event, connection, cell))
        if event is Event.TICK:
            lines = [way.line for way in self.pacer._ways if way.line]
            loop = asyncio.get_running_loop()
            self.woken |= {loop.remove_reader(line._plain) for line in lines}
        self.changed.set()

    def put(self, event: Event, place: int, connection: int, cell: bytes = b"") -> None:
        """Tell it something."""
        self.hatch.put(event, place, connection, cell)
        self.hatch.say()

    async def until(self, event: Event, times: int = 1) -> int:
        """Wait for so many of an event; the connection of the last."""
        async with asyncio.timeout(20):
            while len(found := [c for e, c, _ in self.told if e is event]) < times:
                self.changed.clear()
                await self.changed.wait()
        return found[-1]


def calling(
    folder: Path, name: str, keys: tuple[str, str], called: tuple[str, str]
) -> ssl.SSLContext:
    """TLS of somebody with these keys, who calls the owner of those."""
    context = ssl.create_default_context(cadata=called[1])
    context.check_hostname = False
    context.load_cert_chain(*write_pair(folder, name, keys))
    return context


async def over(*sides: Side) -> None:
    """Let pacers end, and have the garbage collected again."""
    for side in sides:
        side.hatch.close()
        with suppress(asyncio.CancelledError):
            await side.running
    gc.enable()
    gc.unfreeze()


@pytest.fixture
async def sides(tmp_path: Path) -> AsyncIterator[tuple[Side, Side, Directory]]:
    ports = sorted([free_port(), free_port()])
    known = directory(
        peer("alpha", ports[0], ALPHA[1], speaks="cells"),
        peer("bravo", ports[1], BRAVO[1], speaks="cells"),
    )
    both = [
        await Side(tmp_path, name, keys, known).join()
        for name, keys in (("alpha", ALPHA), ("bravo", BRAVO))
    ]
    yield both[0], both[1], known
    await over(*both)


async def test_a_call_can_be_given_up_at_the_moment_when_its_line_breaks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = SimpleNamespace(gone=asyncio.Event())

    async def answered(*_: object) -> SimpleNamespace:
        return line

    monkeypatch.setattr(calls, "_call", answered)
    house = cast(calls.House, SimpleNamespace(rng=random.Random(1)))
    called = directory(peer("bravo", 1, BRAVO[1], speaks="cells")).remailers[0]
    calling = asyncio.create_task(calls.call_always(house, called))
    await asyncio.sleep(0.1)
    line.gone.set()
    calling.cancel()
    await asyncio.wait([calling], timeout=5)
    assert calling.cancelled()


async def test_whatever_a_call_comes_to_there_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = asyncio.Event()
    begun: list[None] = []

    async def fails(*_: object) -> None:
        begun.append(None)
        if len(begun) == 2:
            twice.set()
        raise SetupError("the key is being exchanged")

    monkeypatch.setattr(calls, "_call", fails)
    monkeypatch.setattr(calls, "PAUSE_SECONDS", (0.0, 0.0))
    house = cast(calls.House, SimpleNamespace(rng=random.Random(1)))
    called = directory(peer("bravo", 1, BRAVO[1], speaks="cells")).remailers[0]
    calling = asyncio.create_task(calls.call_always(house, called))
    async with asyncio.timeout(5):
        await twice.wait()
    calling.cancel()


async def test_calls_that_break_leave_no_tls_for_the_collector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is switched off in a pacer: what is in a circle stays."""
    made: list[weakref.ref[Tls]] = []
    thrice = asyncio.Event()

    class Watched(Tls):
        def __init__(self, context: ssl.SSLContext) -> None:
            super().__init__(context)
            made.append(weakref.ref(self))
            if len(made) == 3:
                thrice.set()

    monkeypatch.setattr(calls, "Tls", Watched)
    monkeypatch.setattr(calls, "PAUSE_SECONDS", (0.0, 0.0))
    hangs_up = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = hangs_up.sockets[0].getsockname()[1]
    called = directory(peer("bravo", port, BRAVO[1], speaks="cells")).remailers[0].party
    pins = Pins(*write_pair(tmp_path, "alpha", ALPHA), (called,))
    house = cast(calls.House, SimpleNamespace(rng=random.Random(1), pins=pins))
    gc.disable()
    calling = asyncio.create_task(calls.call_always(house, called))
    try:
        async with asyncio.timeout(10):
            await thrice.wait()
        assert [one() for one in made[:2]] == [None, None]
    finally:
        calling.cancel()
        hangs_up.close()
        gc.enable()


async def test_cover_goes_both_ways_and_mail_is_handed_on(
    sides: tuple[Side, Side, Directory],
) -> None:
    alpha, bravo, _ = sides
    for side in (alpha, bravo):
        await side.until(Event.HEARD, 5)
        assert {cell for event, _, cell in side.told if event is Event.HEARD} == {encode(Cell())}
    alpha.put(Event.SEND, 1, await alpha.until(Event.UP), MAIL)
    await alpha.until(Event.SENT)
    seen = len([1 for event, _, _ in bravo.told if event is Event.HEARD])
    await bravo.until(Event.HEARD, seen + 3)
    assert [cell for event, _, cell in bravo.told if cell == MAIL] == [MAIL]


async def test_the_node_is_told_of_everything_at_a_tick(
    sides: tuple[Side, Side, Directory],
) -> None:
    _, bravo, _ = sides
    await bravo.until(Event.HEARD, 5)
    await bravo.until(Event.TICK, 8)
    assert bravo.told[0][0] is Event.READY
    assert bravo.told[-1][0] is Event.TICK  # what is told is read at once, up to there


async def test_no_link_is_read_by_the_loop(sides: tuple[Side, Side, Directory]) -> None:
    """So that a cell that comes wakes nobody."""
    for side in sides[:2]:
        await side.until(Event.HEARD, 5)
        assert side.woken == {False}


async def test_what_was_meant_for_an_earlier_connection_is_not_sent(
    sides: tuple[Side, Side, Directory],
) -> None:
    alpha, bravo, _ = sides
    connection = await alpha.until(Event.UP)
    alpha.put(Event.SEND, 1, connection + 1, MAIL)
    await bravo.until(Event.HEARD, 6)
    assert MAIL not in [cell for _, _, cell in bravo.told]


async def test_who_is_cut_off_is_called_again(sides: tuple[Side, Side, Directory]) -> None:
    alpha, bravo, _ = sides
    bravo.put(Event.HANG_UP, 0, await bravo.until(Event.UP))
    assert await alpha.until(Event.DOWN) < await alpha.until(Event.UP, 2)
    await bravo.until(Event.UP, 2)


async def test_a_connection_gives_way_to_a_new_one(
    sides: tuple[Side, Side, Directory], monkeypatch: pytest.MonkeyPatch
) -> None:
    alpha, bravo, _ = sides
    monkeypatch.setattr(calls, "LIFE_SECONDS", (0.1, 0.2))
    # The first one's time may have been drawn before.
    alpha.put(Event.HANG_UP, 1, await alpha.until(Event.UP))
    await alpha.until(Event.UP, 4)
    await bravo.until(Event.UP, 4)


def own(folder: Path, keys: tuple[str, str]) -> Keys:
    certificate, key = write_pair(folder, "visitor", keys)
    return cast(Keys, SimpleNamespace(certificate=certificate, link_key=key))


async def test_a_visit_leaves_the_link_as_it_is(
    sides: tuple[Side, Side, Directory], tmp_path: Path
) -> None:
    alpha, bravo, known = sides
    await bravo.until(Event.UP)
    visit = Visit(own(tmp_path, ALPHA), known)
    await (await visit.connect(known.remailers[1])).end()
    await alpha.until(Event.HEARD, 10)
    assert [event for event, _, _ in bravo.told if event is Event.DOWN] == []


async def test_a_cell_on_a_connection_that_was_not_its_callers_to_open_cuts_it(
    sides: tuple[Side, Side, Directory], tmp_path: Path
) -> None:
    alpha, _, known = sides
    await alpha.until(Event.UP)
    context = calling(tmp_path, "caller", BRAVO, ALPHA)
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", known.remailers[0].link_port, ssl=context
    )
    writer.write(MAIL)
    async with asyncio.timeout(5):
        with suppress(OSError):
            while await reader.read(65536):
                pass
    writer.transport.abort()
    assert MAIL not in [cell for _, _, cell in alpha.told]
    assert [event for event, _, _ in alpha.told if event is Event.DOWN] == []


async def test_a_stranger_gets_no_cell(sides: tuple[Side, Side, Directory], tmp_path: Path) -> None:
    bravo, known = sides[1], sides[2]
    await bravo.until(Event.UP)
    with pytest.raises(Unreachable):
        await Visit(own(tmp_path, STRANGER), known).connect(known.remailers[1])


async def test_strangers_at_the_door_are_few_and_hold_up_no_peer(
    sides: tuple[Side, Side, Directory], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "MOST_WAITING", 5)
    monkeypatch.setattr(door, "HANDSHAKE_SECONDS", 2.0)
    alpha, _, known = sides
    await alpha.until(Event.UP)
    port = known.remailers[1].link_port
    from_elsewhere = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0))
    strangers = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
    async with asyncio.timeout(10):
        for reader, _ in strangers[:16]:  # the others sent these away, not the time limit
            with suppress(ConnectionError):
                assert await reader.read() == b""
        assert not any(reader.at_eof() for reader, _ in (from_elsewhere, *strangers[16:]))
        await Visit(own(tmp_path, ALPHA), known).connect(known.remailers[1])
        for reader, _ in strangers:
            with suppress(ConnectionError):
                assert await reader.read() == b""
    assert [event for event, _, _ in alpha.told if event is Event.DOWN] == []
    for _, writer in (from_elsewhere, *strangers):
        writer.transport.abort()


async def test_a_line_on_which_tls_has_nothing_to_say_is_cut_and_the_tick_goes_on(
    sides: tuple[Side, Side, Directory],
) -> None:
    """So it is with a peer that begins to speak of keys and doesn't come to an end."""
    alpha, bravo, _ = sides
    await bravo.until(Event.UP)
    line = bravo.pacer._ways[0].line
    assert line

    def seal(cell: bytes) -> bytes:
        raise ssl.SSLWantReadError

    line._tls.seal = seal  # type: ignore[method-assign]
    await bravo.until(Event.DOWN)
    ticks = len([event for event, _, _ in bravo.told if event is Event.TICK])
    await bravo.until(Event.TICK, ticks + 3)
    await alpha.until(Event.UP, 2)


@pytest.mark.parametrize("size", [CELL - 1, 3 * CELL], ids=["not whole", "across records"])
async def test_who_gives_tls_much_work_without_a_cell_is_cut(tmp_path: Path, size: int) -> None:
    """Not before: a cell and a record may both be under way, however cells are cut into records."""
    known = directory(peer("alpha", free_port(), ALPHA[1], speaks="cells"))
    guest = Guest(name="alice", certificates=(STRANGER[1],))
    alpha = await Side(tmp_path, "alpha", ALPHA, known, guest).join()
    await alpha.until(Event.READY)
    context = calling(tmp_path, "alice", STRANGER, ALPHA)
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", known.remailers[0].link_port, ssl=context
    )
    said = 3 * await reader.readexactly(CELL)
    way = alpha.pacer._ways[1]
    (line,) = way.others
    for at in range(0, size, CELL - 1):
        writer.write(said[at : min(at + CELL - 1, size)])
    ticks = len([event for event, _, _ in alpha.told if event is Event.TICK])
    await alpha.until(Event.TICK, ticks + 5)
    assert not line.gone.is_set()
    for _ in range(3 * WHOLE // 23):  # a record of one byte has 23
        writer.write(b"\0")
    async with asyncio.timeout(20):
        await line.gone.wait()
    writer.transport.abort()
    await over(alpha)


async def test_a_line_that_breaks_takes_no_other_with_it(
    sides: tuple[Side, Side, Directory], tmp_path: Path
) -> None:
    alpha, bravo, known = sides
    await bravo.until(Event.UP)
    context = calling(tmp_path, "visitor", ALPHA, BRAVO)
    for _ in range(3):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", known.remailers[1].link_port, ssl=context
        )
        await reader.readexactly(CELL)
        writer.transport.abort()  # what is sent to it next breaks it
    await bravo.until(Event.HEARD, 20)
    assert [event for event, _, _ in (*alpha.told, *bravo.told) if event is Event.DOWN] == []


async def test_a_peer_that_reads_nothing_for_a_while_gets_the_rest_of_its_cell_first(
    tmp_path: Path,
) -> None:
    known = directory(peer("alpha", free_port(), ALPHA[1], speaks="cells"))
    guest = Guest(name="alice", certificates=(STRANGER[1],))
    alpha = await Side(tmp_path, "alpha", ALPHA, known, guest).join()
    await alpha.until(Event.READY)
    context = calling(tmp_path, "alice", STRANGER, ALPHA)
    caller = socket.socket()
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, CELL)
    caller.setblocking(False)
    address = ("127.0.0.1", known.remailers[0].link_port)
    await asyncio.get_running_loop().sock_connect(caller, address)
    tls = Tls(context)
    await tls.shake_hands(caller)
    await alpha.until(Event.TICK, 40)  # many more than fit into the kernel
    line = alpha.pacer._ways[1].others[0]
    assert not line.free
    heard = b""
    async with asyncio.timeout(20):
        while len(heard) < 20 * CELL:
            data = await asyncio.get_running_loop().sock_recv(caller, 65536)
            heard += b"".join(tls.open(memoryview(data)))
    for at in range(0, 20 * CELL, CELL):
        assert decode(heard[at : at + CELL]) == Cell()  # none was begun twice, or never ended
    caller.close()
    await over(alpha)


async def test_a_guest_calls_and_one_that_floods_is_cut(tmp_path: Path) -> None:
    known = directory(peer("alpha", free_port(), ALPHA[1], speaks="cells"))
    guest = Guest(name="alice", certificates=(STRANGER[1],))
    alpha = await Side(tmp_path, "alpha", ALPHA, known, guest).join()
    await alpha.until(Event.READY)
    context = calling(tmp_path, "alice", STRANGER, ALPHA)
    port = known.remailers[0].link_port
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    for _ in range(20):
        writer.write(await reader.readexactly(CELL))  # cover, as it came
    await alpha.until(Event.HEARD, 20)
    for _ in range(4 * MOST_AT_ONCE):
        writer.write(encode(Cell()))
    await alpha.until(Event.DOWN)
    heard = [event for event, _, _ in alpha.told if event is Event.HEARD]
    assert 20 + MOST_AT_ONCE - 2 <= len(heard) < 20 + 2 * MOST_AT_ONCE
    writer.transport.abort()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    writer.write(await reader.readexactly(CELL))
    await alpha.until(Event.UP, 2)  # it isn't kept out
    writer.transport.abort()
    await over(alpha)
