"""The pacer: a process of its own that sends a cell on each link at each tick, and knows no mail.

Ticks are absolute: start + k * period, for all links. What lies ready is sent; if nothing does, a
cover cell that was made before is. A tick that was missed is left out, never made up for; a link
whose last cell hasn't left the machine is left out as well. The pacer holds the TLS connections
and takes what came in from them once a tick, and hands it to the node unread: so all that it does
is the same whether there is mail or not, and both processes wake seldom. Like a peeling worker it
is silent, and ends when the node does.
"""

from __future__ import annotations

import asyncio
import gc
import math
import os
import pickle
import random
import signal
import socket
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from remailer import silence
from remailer.link.calls import call_always, calls
from remailer.link.cells import Cell, encode
from remailer.link.door import Door
from remailer.link.hatch import Event, Hatch
from remailer.link.line import Line, Tls
from remailer.link.pins import Pins
from remailer.party import Party

DEAD_SECONDS = 30.0
"""A connection on which no cell came for so long is cut."""
OTHERS = 2
"""Connections with one peer that haven't brought a cell yet: with more the oldest is cut."""
MOST_AT_ONCE = 64
"""Cells of a guest that may come in a heap, after a line that stood still; with more it is cut."""
TIDY_TICKS = 256
"""Ticks after which the garbage of broken connections is collected: never by what happens."""

_COVER = encode(Cell())


@dataclass(frozen=True)
class Task:
    """What a pacer is told at its start."""

    own: Party
    """Whose pacer it is."""
    certificate: Path
    key: Path
    parties: tuple[Party, ...]
    """Whom it may have a link with; whoever is one of them is passed over."""
    period: float
    """Seconds from tick to tick."""


def next_tick(start: float, period: float, now: float) -> float:
    """The first tick after now: those that were missed are left out."""
    return start + (math.floor((now - start) / period) + 1) * period


class _Way:
    """One peer: the connection that is the link, what lies ready for it, and the others."""

    def __init__(self) -> None:
        self.line: Line | None = None
        self.connection = 0
        self.ready: deque[bytes] = deque()
        self.others: deque[Line] = deque()
        """Connections that haven't brought a cell yet: our call, and visitors."""
        self._allowed = MOST_AT_ONCE

    def gave(self) -> None:
        """It got a cell; a guest may send twice as many."""
        self._allowed = min(self._allowed + 2, MOST_AT_ONCE)

    def allows(self) -> bool:
        """Whether a guest's next cell is taken."""
        self._allowed = max(self._allowed - 1, -1)
        return self._allowed >= 0


class Pacer:
    """All links of one node, in the pacer's process."""

    def __init__(self, task: Task, hatch: socket.socket, ports: Sequence[socket.socket]) -> None:
        self._task, self._end, self._ports = task, hatch, ports
        self.pins = Pins(task.certificate, task.key, task.parties)
        self.rng: random.Random = random.SystemRandom()
        self._places = {party.name: place for place, party in enumerate(task.parties)}
        self._ways = [_Way() for _ in task.parties]
        self._count = 0
        self._ticks = 0
        self._crowded = False

    async def run(self) -> None:
        """Be the pacer until the node is gone."""
        loop = asyncio.get_running_loop()
        silence.hush_loop(loop)
        gone = asyncio.Event()
        self._hatch = Hatch(self._told, gone.set, self._full)
        await loop.create_connection(lambda: self._hatch, sock=self._end)
        door = Door(self._ports, self.pins.server, self._visitor)
        tasks = [asyncio.create_task(door.stand_open(port)) for port in self._ports]
        tasks += (
            asyncio.create_task(call_always(self, party))
            for party in self._task.parties
            if calls(self._task.own, party)
        )
        gc.collect()
        gc.freeze()
        gc.disable()
        self._start = loop.time() + self.rng.random() * self._task.period
        loop.call_at(self._start, self._tick)
        self._hatch.put(Event.READY)
        self._hatch.say()
        await gone.wait()
        for task in tasks:
            task.cancel()

    # -- out ------------------------------------------------------------------------------------

    def _tick(self) -> None:
        """One cell on every connection; then tell the node, who is to give as many."""
        loop = asyncio.get_running_loop()
        try:
            self._send()
            self._listen()
            self._ticks += 1
            if self._ticks % TIDY_TICKS == 0:
                gc.collect()
        finally:
            loop.call_at(next_tick(self._start, self._task.period, loop.time()), self._tick)

    def _send(self) -> None:
        sent = []
        for place, way in enumerate(self._ways):
            for line in tuple(way.others):
                if not line.called:  # whoever was called speaks first
                    line.say(_COVER)
                    if line.free:
                        way.gave()
            if link := way.line:
                ready = link.free and bool(way.ready)
                link.say(way.ready.popleft() if ready else _COVER)
                if link.free:
                    way.gave()
                sent.extend([place] * ready)
        for place in sent:
            self._hatch.put(Event.SENT, place, self._ways[place].connection)

    def _listen(self) -> None:
        """Take what came since the last tick, of all links together: each waking by itself costs as
        much as a cell. While the node doesn't keep up peers have to wait, too."""
        dead = asyncio.get_running_loop().time() - DEAD_SECONDS
        for way in self._ways:
            for line in (way.line, *way.others):
                if line and not self._crowded:
                    for cell in line.hear():
                        self._heard(line, cell)
                if line and (line.over or line.heard_at < dead):
                    line.cut()
        self._hatch.put(Event.TICK)
        self._hatch.say()

    # -- in -------------------------------------------------------------------------------------

    def _visitor(self, plain: socket.socket, tls: Tls) -> None:
        """Somebody called, and the handshake is done."""
        name = self.pins.owner(tls.certificate)
        if name is None:
            plain.close()
        else:
            self._enter(plain, tls, self._places[name], called=False)

    def enter(self, plain: socket.socket, tls: Tls, peer: Party) -> Line:
        """We called that peer, and the handshake is done."""
        return self._enter(plain, tls, self._places[peer.name], called=True)

    def _enter(self, plain: socket.socket, tls: Tls, place: int, called: bool) -> Line:
        line, others = Line(plain, tls, place, called, self._lost), self._ways[place].others
        others.append(line)
        if len(others) > OTHERS:
            others[0].cut()
        return line

    def _heard(self, line: Line, cell: bytes) -> None:
        """A cell came: with the first one the connection becomes the link."""
        way, party = self._ways[line.place], self._task.parties[line.place]
        if party.guest:
            wrong = not way.allows()
        else:  # on a line that was for us to open
            wrong = line is not way.line and not line.called and calls(self._task.own, party)
        if wrong:
            line.cut()
            return
        if line is not way.line:
            self._promote(way, line)
        self._hatch.put(Event.HEARD, line.place, way.connection, cell)

    def _promote(self, way: _Way, line: Line) -> None:
        if way.line:
            before, way.line = way.line, None
            before.cut()
        way.others.remove(line)
        self._count += 1
        way.line, way.connection = line, self._count
        way.ready.clear()
        self._hatch.put(Event.UP, line.place, way.connection)

    def _lost(self, line: Line) -> None:
        """A connection is gone."""
        way = self._ways[line.place]
        if line in way.others:
            way.others.remove(line)
        if line is way.line:
            way.line = None
            way.ready.clear()
            self._hatch.put(Event.DOWN, line.place, way.connection)

    # -- the node -------------------------------------------------------------------------------

    def _told(self, event: Event, place: int, connection: int, cell: bytes) -> None:
        way = self._ways[place]
        if connection == way.connection and way.line:
            if event is Event.SEND:
                way.ready.append(cell)
            elif event is Event.HANG_UP:
                way.line.over = True

    def _full(self, full: bool) -> None:
        """The node doesn't keep up, or does again."""
        self._crowded = full


def work(hatch: socket.socket, ports: Sequence[socket.socket]) -> None:
    """Be a pacer: silent, not to be dumped, until the node is gone.

    First the hatch brings its task, pickled, and nothing behind it before the pacer has spoken.
    """
    silence.hush()
    # Ctrl-C and a container's stop reach the whole group: the node ends its pacer, nobody else.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    try:
        with hatch.makefile("rb") as brought:
            task: Task = pickle.load(brought)
        asyncio.run(_be(Pacer(task, hatch, ports)))
    finally:
        os._exit(0)


async def _be(pacer: Pacer) -> None:
    await pacer.run()
    os._exit(0)  # at once: no task is asked first, as the node's port is to be free again
