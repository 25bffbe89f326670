"""The cells link, in the node: it makes the cells that the pacer sends, and reads those that came.

The rule: a cell is made for each one that was sent, of mail or of nothing, by the same steps. What
is under way is in the spool of whoever sends it until the answer STORED comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import pickle
import socket
import time
from collections.abc import Awaitable, Callable
from multiprocessing.process import BaseProcess
from typing import Any

from remailer.directory import Peer
from remailer.errors import SetupError
from remailer.link import geometry, pacer
from remailer.link.cells import KEEP_SECONDS, CellError, End, Word
from remailer.link.hatch import Event, Hatch
from remailer.link.pins import Pins
from remailer.link.smtp import DATA_SECONDS, Admit, Interrupted, Outcome, Unreachable, listen
from remailer.listener import LOCAL_PARTS
from remailer.party import Party

RATE = 2.0
"""Cells a second to each peer."""
AHEAD = 1
"""Cells that lie ready for a link: made right after the last was sent, a whole period early."""
START_SECONDS = 30.0
RESTART_SECONDS = 1.0

Take = Callable[[Party, bytes, bytes], Awaitable[Word]]
"""Makes a party's message durable (with its transfer ID), and says what became of it."""


class CellsLink:
    """Links with all parties that speak cells. Raises SetupError if keys can't be read."""

    def __init__(self, task: pacer.Task, take: Take) -> None:
        Pins(task.certificate, task.key, task.parties)  # now is the time to hear of errors
        self.period = task.period
        self._task = task
        self._take = take
        self._pairs = [Pair(place, party) for place, party in enumerate(task.parties)]
        self._places = {party.name: place for place, party in enumerate(task.parties)}
        self._ports: list[socket.socket] = []
        self._process: BaseProcess | None = None
        self._hatch: Hatch | None = None
        self._ready = asyncio.Event()
        self._starting = asyncio.Lock()
        self._restarting = False
        self._closed = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(
        self, protocol: Callable[[Admit], asyncio.BaseProtocol], host: str | None, port: int
    ) -> asyncio.Server:
        """Bind the port, and start the pacer on it. Raises SetupError."""
        bound = await listen(asyncio.Protocol, host, port, serve=False)
        self._ports = [one.dup() for one in bound.sockets]
        await self.start()
        return bound

    async def connect(self, peer: Peer) -> Messages:
        """Wait until the link with that peer is up: nothing that waits makes it so."""
        if not self._restarting:  # else mail would say when the links come back
            await self.start()
        pair = self._pairs[self._places[peer.name]]
        await pair.up.wait()
        return Messages(self, pair)

    def hang_up(self, pair: Pair) -> None:
        """Break the connection with that peer."""
        if self._hatch:
            self._hatch.put(Event.HANG_UP, pair.place, pair.connection)
            self._hatch.say()

    def close(self) -> None:
        """End the pacer."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        if self._hatch:
            self._hatch.close()
        if self._process:
            self._process.kill()
        for port in self._ports:
            port.close()

    # -- the pacer's process --------------------------------------------------------------------

    async def start(self) -> None:
        """Have a pacer: links come up from now on, mail or not. Raises SetupError."""
        async with self._starting:
            if self._hatch is not None or self._closed:
                return
            hatch = Hatch(self._told, lambda: self._lost(hatch))
            self._ready.clear()
            try:
                ours, theirs = socket.socketpair()
                with theirs:
                    self._process = await asyncio.to_thread(_spawn, theirs, self._ports)
                self._hatch = hatch  # by now, as it may be gone as soon as it is there
                loop = asyncio.get_running_loop()
                transport, _ = await loop.create_connection(lambda: hatch, sock=ours)
                transport.write(pickle.dumps(self._task))
                async with asyncio.timeout(START_SECONDS):
                    await self._ready.wait()
                if self._hatch is not hatch:
                    raise OSError("it ended at once")
            except BaseException as error:
                self._hatch = None
                hatch.close()
                if self._process:
                    self._process.kill()
                if isinstance(error, OSError | RuntimeError):  # RuntimeError: no more threads
                    why = str(error) or "no answer"
                    raise SetupError(f"the pacer doesn't start: {why}") from None
                raise

    def _lost(self, hatch: Hatch) -> None:
        """The pacer is gone: all links are broken, and there has to be another."""
        if hatch is not self._hatch:
            return  # one that was given up
        self._hatch = None
        self._ready.set()  # nobody has to wait for it any longer
        for pair in self._pairs:
            pair.broken()
        if not self._closed and not self._restarting:
            self._restarting = True
            self._begin(self._restart())

    async def _restart(self) -> None:
        while self._hatch is None:
            await asyncio.sleep(RESTART_SECONDS)
            with contextlib.suppress(Exception):  # whatever was missing may be there then
                await self.start()
        self._restarting = False

    def _begin(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- what it tells --------------------------------------------------------------------------

    def _told(self, event: Event, place: int, connection: int, cell: bytes) -> None:
        pair = self._pairs[place]
        if event is Event.READY:
            self._ready.set()
        elif event is Event.TICK and self._hatch:
            self._hatch.say()
        elif event is Event.UP:
            pair.connected(connection)
            for _ in range(AHEAD):
                self._send(place)
        elif event is Event.DOWN:
            pair.broken()
        elif event is Event.SENT:
            self._send(place)
        elif event is Event.HEARD:
            self._heard(place, cell)

    def _send(self, place: int) -> None:
        pair = self._pairs[place]
        if self._hatch:
            self._hatch.put(Event.SEND, place, pair.connection, pair.end.next_cell())

    def _heard(self, place: int, cell: bytes) -> None:
        pair = self._pairs[place]
        try:
            heard = pair.end.take(cell)
        except CellError:
            self.hang_up(pair)
            return
        for answer in heard.ends:
            pair.ended(answer.transfer, answer.word)
        if heard.message:
            self._begin(self._store(pair, *heard.message))

    async def _store(self, pair: Pair, transfer: bytes, message: bytes) -> None:
        word = Word.LATER
        try:
            word = await self._take(pair.party, message, transfer)
        finally:
            pair.end.answer(transfer, word)


class Pair:
    """The link with one party."""

    def __init__(self, place: int, party: Party) -> None:
        """`place`: the party's, as the pacer has it."""
        self.place, self.party = place, party
        self.end = End(time.monotonic)
        self.connection = 0
        self.up = asyncio.Event()
        self.waiting: dict[bytes, asyncio.Future[Word]] = {}

    def connected(self, connection: int) -> None:
        """A connection is up."""
        self.broken()
        self.end.connected()
        self.connection = connection
        self.up.set()

    def broken(self) -> None:
        """It is gone."""
        if self.up.is_set():  # perhaps for good, and with half a message of theirs here
            asyncio.get_running_loop().call_later(KEEP_SECONDS, self.end.forget)
        self.up.clear()
        waiting, self.waiting = self.waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(Interrupted("the link broke"))

    def dropped(self, transfer: bytes) -> None:
        """Nobody waits for its end any more."""
        self.waiting.pop(transfer, None)
        self.end.drop(transfer)

    def ended(self, transfer: bytes, word: Word) -> None:
        """The peer said what became of a message."""
        future = self.waiting.pop(transfer, None)
        if future and not future.done():
            future.set_result(word)


class Messages:
    """A turn at a link: one message at a time; a link has up to WINDOW turns."""

    def __init__(self, link: CellsLink, pair: Pair) -> None:
        self._link, self._pair = link, pair

    async def send(self, recipient: str, mail: bytes) -> Outcome:
        """Hand over one mail. Raises Unreachable, and Interrupted when the link broke: then it may
        have arrived."""
        if recipient.rpartition("@")[0].lower() not in LOCAL_PARTS:
            return Outcome.REFUSED
        if not 0 < len(mail) <= geometry.MAX_MESSAGE:
            return Outcome.REFUSED
        if not self._pair.up.is_set():
            raise Unreachable("the link is down")
        future: asyncio.Future[Word] = asyncio.get_running_loop().create_future()
        transfer = self._pair.end.put(mail)
        self._pair.waiting[transfer] = future
        cells = geometry.parts(len(mail)) * geometry.WINDOW
        try:
            async with asyncio.timeout(DATA_SECONDS + 2 * cells * self._link.period):
                word = await future
        except TimeoutError:  # without hanging up: that would tell of mail
            raise Unreachable("no answer") from None
        finally:
            self._pair.dropped(transfer)
        return _OUTCOMES[word]

    async def end(self) -> None:
        """Nothing has to be said: the link goes on."""

    def close(self) -> None:
        """The same: what was put is in the spool, and known when it is put again."""


_OUTCOMES = {
    Word.STORED: Outcome.DELIVERED,
    Word.LATER: Outcome.DEFERRED,
    Word.REFUSED: Outcome.REFUSED,
}


def _spawn(hatch: socket.socket, ports: list[socket.socket]) -> BaseProcess:
    """Start a pacer, which waits for its task. (Among its arguments a task with many parties would
    fill a pipe that we read, too: if the pacer died before it did, we would wait for ever.)"""
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=pacer.work, args=(hatch, ports), daemon=True)
    process.start()
    return process
