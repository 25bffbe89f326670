"""Cells a second of processor time: our link against asyncio's TLS, in turn, in one process.

    python3 -m testbed.bench.agent.cells PAIRS CELLS

Prints one line of JSON: for each kind of link the pairs of rates. Nothing is paced: what is left is
work. All kinds have the same TLS contexts, cells of one size, and the same loop, in which both
nodes send a cell on each of their connections and wait for the other's, as at a tick.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import socket
import ssl
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from remailer import init, keys
from remailer.keys import Identity
from remailer.link.cells import Cell, End, Word, encode
from remailer.link.geometry import CELL, DATA, WINDOW
from remailer.link.hatch import Event, Hatch
from remailer.link.line import Line, Tls
from remailer.link.pins import Pins

NAMES = ("alpha", "bravo")
LINKS = 4
"""Between the two: as many as a node has in the web that `make up` makes."""
COVER = encode(Cell())
MESSAGES = itertools.cycle([random.Random(n).randbytes(DATA) for n in range(997)])
"""Each fills a cell. They come to an end again when it remembers them no more: their number shares
no divisor with that of the ends, so each gets all of them."""


class Node(Protocol):
    """One of two nodes between which there are LINKS connections."""

    def turn(self) -> None:
        """Send one cell on each."""

    def listen(self) -> None:
        """Take what came."""

    @property
    def turns(self) -> int:
        """Turns whose work is done: all cells came, and the next are ready."""


class Bare(asyncio.Protocol):
    """asyncio's TLS and nothing else: the same cell again and again, and what comes is counted."""

    def __init__(self) -> None:
        self.bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake is done."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Count."""
        self.bytes += len(data)


class Bares:
    """Such connections."""

    def __init__(self, lines: Sequence[Bare]) -> None:
        self._lines = lines

    def turn(self) -> None:
        """Send one cell on each."""
        for line in self._lines:
            line.transport.write(COVER)

    def listen(self) -> None:
        """The loop does."""

    @property
    def turns(self) -> int:
        """Cells that came on each."""
        return min(line.bytes for line in self._lines) // CELL


class Cells:
    """Codec, state and connection of a link, as node and pacer have them, and cover cells."""

    def __init__(self, lines: Sequence[tuple[socket.socket, Tls]]) -> None:
        self.lines = [
            Line(plain, tls, place, False, _nothing) for place, (plain, tls) in enumerate(lines)
        ]
        self.ends = [End(time.monotonic) for _ in lines]
        self.heard = 0

    async def join(self) -> None:
        """Do what else is to be done before the first turn."""

    def turn(self) -> None:
        """Send one cell on each."""
        for line, end in zip(self.lines, self.ends, strict=True):
            line.say(end.next_cell())

    def listen(self) -> None:
        """Take what came."""
        for line in self.lines:
            for cell in line.hear():
                self.heard += 1
                self.take(line.place, cell)

    @property
    def turns(self) -> int:
        """Cells that came on each."""
        return self.heard // LINKS

    def take(self, place: int, cell: bytes) -> None:
        """As a node does it; where a message has ended there is another."""
        heard = self.ends[place].take(cell)
        for _ in heard.ends:
            self.ends[place].put(next(MESSAGES))
        if heard.message:
            self.ends[place].answer(heard.message[0], Word.STORED)


class Lines(Cells):
    """Our lines and nothing above them: one cell again and again, and what comes is counted."""

    def turn(self) -> None:
        """Send one cell on each."""
        for line in self.lines:
            line.say(COVER)

    def take(self, place: int, cell: bytes) -> None:
        """That it came is all."""


class Mail(Cells):
    """The same, with a mail in each cell."""

    async def join(self) -> None:
        """Have mail to send."""
        for end in self.ends:
            for _ in range(WINDOW):
                end.put(next(MESSAGES))


class Apart(Cells):
    """The whole link, with the hatch between node and pacer that each cell goes through."""

    async def join(self) -> None:
        """Open the hatch from both sides; a cell lies ready for each line."""
        self._ready = [deque([COVER]) for _ in self.lines]
        self._given = 0
        self._node, self._pacer = (
            Hatch(take, lambda: None) for take in (self._told, self._take_over)
        )
        loop = asyncio.get_running_loop()
        for hatch, end in zip((self._node, self._pacer), socket.socketpair(), strict=True):
            await loop.create_connection(lambda hatch=hatch: hatch, sock=end)  # type: ignore[misc]

    @property
    def turns(self) -> int:
        """Cells that came on each, and that the node gave for each."""
        return min(self.heard, self._given) // LINKS

    def turn(self) -> None:
        """Send the cells that lie ready, and ask for the next."""
        for line in self.lines:
            line.say(self._ready[line.place].popleft())
            self._pacer.put(Event.SENT, line.place)

    def listen(self) -> None:
        """Take what came, once a turn, and hand it over."""
        before = self.heard
        if before // LINKS > self.turns:
            return
        for line in self.lines:
            for cell in line.hear():
                self.heard += 1
                self._pacer.put(Event.HEARD, line.place, cell=cell)
        if self.heard > before:
            self._pacer.put(Event.TICK)
            self._pacer.say()

    def _told(self, event: Event, place: int, connection: int, cell: bytes) -> None:
        if event is Event.SENT:
            self._node.put(Event.SEND, place, cell=self.ends[place].next_cell())
        elif event is Event.HEARD:
            self.take(place, cell)
        else:
            self._node.say()

    def _take_over(self, event: Event, place: int, connection: int, cell: bytes) -> None:
        self._given += 1
        self._ready[place].append(cell)


KINDS: dict[str, tuple[type[Cells], type[Cells] | None]] = {
    "cells": (Apart, None),
    "cells_cover": (Cells, None),
    "cells_mail": (Mail, None),
    "cells_added": (Apart, Lines),
}
"""What is measured, and over what: asyncio's TLS, if nothing is said."""


def _nothing(line: Line) -> None:
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

    async def bare(self) -> list[Node]:
        """Two nodes with asyncio's TLS between them."""
        loop, found = asyncio.get_running_loop(), []
        for plain, context, called in self._ends():
            transport, _ = await loop.create_connection(asyncio.Protocol, sock=plain)
            found.append(loop.start_tls(transport, Bare(), context, server_side=called))
        lines = []
        for made in await asyncio.gather(*found):
            assert made is not None
            line = made.get_protocol()
            assert isinstance(line, Bare)
            line.connection_made(made)
            lines.append(line)
        return [Bares(lines[0::2]), Bares(lines[1::2])]

    async def link(self, kind: type[Cells]) -> list[Node]:
        """Two nodes with links of that kind between them."""
        ends = [(plain, Tls(context, called)) for plain, context, called in self._ends()]
        await asyncio.gather(*(tls.shake_hands(plain) for plain, tls in ends))
        nodes = [kind(ends[0::2]), kind(ends[1::2])]
        for node in nodes:
            await node.join()
        return [*nodes]

    def _ends(self) -> Iterator[tuple[socket.socket, ssl.SSLContext, bool]]:
        """Both ends of each connection on loopback: whose it is to call, and whose to be called."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            for _ in range(LINKS):
                for called in (False, True):
                    if called:
                        end = server.accept()[0]
                    else:
                        end = socket.create_connection(server.getsockname())
                    end.setblocking(False)
                    pins = self.pins[called]
                    yield end, pins.server if called else pins.client(self.entries[1]), called


async def rate(nodes: Sequence[Node], cells: int) -> float:
    """Cells a second of this process's processor time, sent and taken."""
    began, done = time.process_time(), nodes[0].turns
    for turn in range(1, cells // (2 * LINKS) + 1):
        for node in nodes:
            node.turn()
        while min(node.turns for node in nodes) < done + turn:
            for node in nodes:
                node.listen()
            await asyncio.sleep(0)
    return cells / (time.process_time() - began)


async def main(pairs: int, cells: int) -> None:
    """Measure every kind; the links stay, so that each is warm."""
    with tempfile.TemporaryDirectory() as folder:
        ground = Ground(Path(folder))
        bare = await ground.bare()
        links = {
            name: (await ground.link(ours), await ground.link(theirs) if theirs else bare)
            for name, (ours, theirs) in KINDS.items()
        }
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in KINDS}
        for _ in range(pairs):
            for name, (ours, theirs) in links.items():
                found[name].append((await rate(ours, cells), await rate(theirs, cells)))
        print(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
