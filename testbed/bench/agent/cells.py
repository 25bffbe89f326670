"""Cells a second of processor time: our link against bare TLS, in turn, in one process.

    python3 -m testbed.bench.agent.cells PAIRS CELLS

Prints one line of JSON: for each kind of link the pairs of rates. Nothing is paced: what is left is
work. All kinds have the same TLS contexts, cells of one size, and the same loop, in which both ends
send a cell and wait for the other's, as at a tick.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import socket
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from remailer import init, keys
from remailer.directory import Peer
from remailer.keys import Identity
from remailer.link.calls import Line, keep_little
from remailer.link.cells import Cell, End, Word, encode
from remailer.link.geometry import CELL, DATA, WINDOW
from remailer.link.hatch import Event, Hatch
from remailer.link.pins import Pins

NAMES = ("alpha", "bravo")
COVER = encode(Cell())
MESSAGES = itertools.cycle([random.Random(n).randbytes(DATA) for n in range(200)])
"""Each fills a cell; they come again when nobody remembers them any more."""


class Side(Protocol):
    """One end of what is measured."""

    @property
    def top(self) -> asyncio.Protocol:
        """What is above TLS."""

    @property
    def turns(self) -> int:
        """Turns whose work is done: the other end's cell came, and the next is ready."""

    async def join(self) -> None:
        """Do what else is to be done before the first turn."""

    def turn(self) -> None:
        """Send one cell."""


class Bare(asyncio.Protocol):
    """TLS and nothing else: the same cell again and again, and what comes is counted."""

    def __init__(self, plain: asyncio.Transport, pins: Pins) -> None:
        self.top, self._plain, self._bytes = self, plain, 0

    async def join(self) -> None:
        """Nothing."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake is done."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        keep_little(self._plain)

    def data_received(self, data: bytes) -> None:
        """Count."""
        self._bytes += len(data)

    @property
    def turns(self) -> int:
        """Cells that came."""
        return self._bytes // CELL

    def turn(self) -> None:
        """Send one cell."""
        self._transport.write(COVER)


class Cells:
    """Codec, state and connection of a link, as node and pacer have them, and cover cells."""

    def __init__(self, plain: asyncio.Transport, pins: Pins) -> None:
        self.pins, self.rng = pins, random.Random(1)
        self.top = Line(self, plain)
        self.cells_heard = 0
        self.end = End(time.monotonic)

    @property
    def turns(self) -> int:
        """Cells that came."""
        return self.cells_heard

    async def join(self) -> None:
        """Nothing."""

    def enter(self, line: Line, peer: Peer | None = None) -> bool:
        """Anybody may."""
        return True

    def heard(self, line: Line, cell: bytes) -> None:
        """A cell came."""
        self.cells_heard += 1
        self.take(cell)

    def lost(self, line: Line) -> None:
        """It is over."""

    def take(self, cell: bytes) -> None:
        """As a node does it; where a message has ended there is another."""
        heard = self.end.take(cell)
        for _ in heard.ends:
            self.end.put(next(MESSAGES))
        if heard.message:
            self.end.answer(heard.message[0], Word.STORED)

    def turn(self) -> None:
        """Send one cell."""
        self.top.say(self.end.next_cell())


class Mail(Cells):
    """The same, with a mail in each cell."""

    async def join(self) -> None:
        """Have mail to send."""
        for _ in range(WINDOW):
            self.end.put(next(MESSAGES))


class Apart(Cells):
    """The whole link, with the hatch between node and pacer that each cell goes through."""

    async def join(self) -> None:
        """Open the hatch from both sides; a cell lies ready."""
        self._ready = deque([COVER])
        self._given_cells = 0
        self._node, self._pacer = Hatch(self._asked, _nothing), Hatch(self._given, _nothing)
        loop = asyncio.get_running_loop()
        for hatch, end in zip((self._node, self._pacer), socket.socketpair(), strict=True):
            await loop.create_connection(lambda hatch=hatch: hatch, sock=end)  # type: ignore[misc]

    @property
    def turns(self) -> int:
        """Cells that came, and cells that the node gave."""
        return min(self.cells_heard, self._given_cells)

    def turn(self) -> None:
        """Send the cell that lies ready, and tell the node."""
        self.top.say(self._ready.popleft())
        self._pacer.put(Event.SENT)
        self._pacer.put(Event.TICK)
        self._pacer.say()

    def heard(self, line: Line, cell: bytes) -> None:
        """A cell came."""
        self.cells_heard += 1
        self._pacer.put(Event.HEARD, cell=cell)

    def _asked(self, event: Event, place: int, connection: int, cell: bytes) -> None:
        if event is Event.SENT:
            self._node.put(Event.SEND, cell=self.end.next_cell())
        elif event is Event.HEARD:
            self.take(cell)
        else:
            self._node.say()

    def _given(self, event: Event, place: int, connection: int, cell: bytes) -> None:
        self._given_cells += 1
        self._ready.append(cell)


KINDS: dict[str, type[Cells]] = {"cells": Apart, "cells_cover": Cells, "cells_mail": Mail}


def _nothing() -> None:
    pass


class Ground:
    """Keys of two remailers, which trust each other."""

    def __init__(self, folder: Path) -> None:
        entries = []
        for name in NAMES:
            (folder / name).mkdir()
            address = f"remailer@{name}.remailer.test"
            identity = Identity(
                name=name, address=address, hosts=("127.0.0.1",), link_port=2525, speaks="cells"
            )
            entries.append(init.make(folder / name, identity))
        self.entries = entries
        own = [keys.load(folder / name) for name in NAMES]
        self.pins = [Pins(one.certificate, one.link_key, entries) for one in own]

    async def link(self, kind: Callable[[asyncio.Transport, Pins], Side]) -> list[Side]:
        """Both ends of a connection on loopback."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            ends = [socket.create_connection(server.getsockname()), server.accept()[0]]
        both = (self._side(kind, end, place) for place, end in enumerate(ends))
        return list(await asyncio.gather(*both))

    async def _side(
        self, kind: Callable[[asyncio.Transport, Pins], Side], end: socket.socket, place: int
    ) -> Side:
        """`place`: 0 calls, 1 was called."""
        loop, pins = asyncio.get_running_loop(), self.pins[place]
        end.setblocking(False)
        plain, _ = await loop.create_connection(asyncio.Protocol, sock=end)
        side = kind(plain, pins)
        context = pins.server if place else pins.client(self.entries[1])
        transport = await loop.start_tls(plain, side.top, context, server_side=bool(place))
        assert transport is not None
        side.top.connection_made(transport)
        await side.join()
        return side


async def rate(sides: list[Side], cells: int) -> float:
    """Cells a second of this process's processor time, sent and taken."""
    began, done = time.process_time(), sides[0].turns
    for turn in range(1, cells // 2 + 1):
        for side in sides:
            side.turn()
        while min(side.turns for side in sides) < done + turn:
            await asyncio.sleep(0)
    return cells / (time.process_time() - began)


async def main(pairs: int, cells: int) -> None:
    """Measure every kind; the links stay, so that each is warm."""
    with tempfile.TemporaryDirectory() as folder:
        ground = Ground(Path(folder))
        bare = await ground.link(Bare)
        links = {name: await ground.link(kind) for name, kind in KINDS.items()}
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in KINDS}
        for _ in range(pairs):
            for name, sides in links.items():
                found[name].append((await rate(sides, cells), await rate(bare, cells)))
        print(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
