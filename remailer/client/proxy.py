"""`remailer proxy`: a user at the end of a link of cells, behind a local SMTP port.

    mail program → counter (loopback) → letter → chain → spool → cells → first remailer

The rule: a mail is made into its message before 250 is said, and that message is in the spool until
the first remailer has said STORED for it. On the user's line there are cells of one size at a rate
that doesn't change, from the start to the stop, whether he writes or not.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from remailer import clean
from remailer.client import chain, letter, pick
from remailer.client.counter import Backlog, Counter, Turn
from remailer.client.guest import GuestKeys
from remailer.delivery import MOST_CONVERSATIONS, PEERS, Connect, Deliveries
from remailer.directory import Directory, Peer, load
from remailer.errors import ChainError, SetupError, SpoolFull
from remailer.gate import MAX_STRANGERS, Gate
from remailer.link import pacer
from remailer.link.cells import Word
from remailer.link.paced import RATE, CellsLink
from remailer.link.smtp import listen
from remailer.listener import Door
from remailer.party import Party
from remailer.peel import NICE
from remailer.seal import Leaving
from remailer.spool import Spool

HOST, PORT = "127.0.0.1", 2526
LINK_SECONDS = 5.0
"""How long the ready line waits for the link, to say whether it is there."""
NEVER = 2**32 - 1
"""The last day on which a mail is tried: given up, it would be lost without a word."""


@dataclass(frozen=True)
class Way:
    """Which chains mails take; the first remailer is always the same one."""

    directory: Callable[[], Directory]
    """As it is by now."""
    chain: Sequence[str]
    avoid: Sequence[str] = ()
    rng: random.Random = field(default_factory=random.SystemRandom)

    def first(self) -> Peer:
        """The first remailer. Raises ChainError if no chain can be had."""
        if self.chain[0] == pick.ANY:
            raise ChainError("chain: name the first remailer, the one that you are a guest of")
        directory = self.directory()
        pick.draw(directory, self.chain, self.rng, avoid=self.avoid)  # there are such names at all
        hop = chain.route(directory, self._drawn(directory))[0]
        if hop.speaks != "cells":
            raise ChainError(f"chain: {hop.name} speaks {hop.speaks}; a proxy's first speaks cells")
        return hop

    def message(self, mail: bytes, recipients: Sequence[str]) -> bytes:
        """The mail for the first remailer. Raises RemailerError if there can't be one."""
        found, directory = letter.read(mail), self.directory()
        drawn = self._drawn(directory, recipients)
        made = chain.make(directory, drawn, recipients, found.subject, found.text, padded=True)
        message = f"To: {made.recipient}\r\n\r\n".encode() + made.body
        if refused := clean.refusal(message):
            raise ChainError(refused)
        return message

    def _drawn(self, directory: Directory, recipients: Sequence[str] = ()) -> list[str]:
        """A chain, without remailers that nothing can be sealed for: another will do."""
        no = {
            peer.name
            for peer in directory.remailers
            if peer.name in self.avoid or (peer.name not in self.chain and not chain.sound(peer))
        }
        return pick.draw(directory, self.chain, self.rng, avoid=no, recipients=recipients)


class Known:
    """The directory in a file, read again when that has changed: proxies run for months."""

    def __init__(self, path: Path) -> None:
        """Raises SetupError."""
        self._path = path
        with contextlib.suppress(OSError):  # which `load` tells of
            self._read = self._version()  # first: what comes meanwhile is another version
        self._directory = load(path)

    def __call__(self) -> Directory:
        """As it is by now; as it was, while the file is none."""
        with contextlib.suppress(OSError, SetupError):
            if (version := self._version()) != self._read:
                self._directory, self._read = load(self._path), version
        return self._directory

    def _version(self) -> tuple[int, int, int]:
        now = self._path.stat()
        return now.st_ino, now.st_size, now.st_mtime_ns


class Proxy:
    """A proxy between `start` and `stop`."""

    def __init__(
        self, keys: GuestKeys, way: Way, spool: Path, *, port: int = PORT, rate: float = RATE
    ) -> None:
        """`rate`: cells a second. Raises SetupError or ChainError; opens nothing."""
        self._way = way
        self._hop = way.first()
        self._keys, self._folder, self._port = keys, spool, port
        task = pacer.Task(
            keys.entry.party, keys.certificate, keys.link_key, (self._hop.party,), 1 / rate
        )
        self._link = CellsLink(task, _nothing_for_us)
        self._backlog = Backlog(self._hop.name)
        self._gate = Gate(MAX_STRANGERS, of_one=MAX_STRANGERS)
        # One mail at a time, behind the pacer: sealing must not be seen in the ticks.
        self._worker = ThreadPoolExecutor(1, initializer=partial(os.nice, NICE))

    async def start(self) -> str:
        """Start the cells, open the port; the ready line. Raises SetupError."""
        self._spool = Spool.open(self._folder / "spool.db", self._keys.secret)
        self._deliveries = Deliveries(
            self._spool, self._route, self._way.rng, PEERS, MOST_CONVERSATIONS
        )
        try:
            _, waiting = await self._spool.contents()
            unread = await self._spool.unread()
        except SpoolFull:
            raise SetupError("the spool can't be read: its disk is failing") from None
        if unread and not waiting:  # one row may be damaged; all of them are another's
            keys = self._keys.certificate.parent
            raise SetupError(
                f"spool {self._folder}: {unread} mails in it can't be opened: copy the file "
                f"`secret` of the keys that sealed them to {keys}, or give another --spool"
            )
        others = {ticket.domain for ticket in waiting} - {self._hop.domain}
        if others:
            raise SetupError(
                f"spool {self._folder}: mail for {', '.join(sorted(others))} waits there: start "
                "with that one first until it is gone, or give another --spool"
            )
        self._backlog.more(len(waiting))
        counter = Counter(make=self._make, leave=self._leave, backlog=self._backlog)
        door = partial(Door, counter, self._gate, lambda _: True)
        self._server = await listen(door, HOST, self._port)
        await self._link.start()
        self._deliveries.schedule(waiting)
        return f"remailer proxy: ready, {await self._state()}"

    async def stop(self) -> None:
        """Stop, within a second; what isn't handed over is in the spool."""
        self._server.close()
        self._link.close()
        await asyncio.gather(self._gate.finish(), self._deliveries.stop())
        self._spool.close()

    async def _state(self) -> str:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINK_SECONDS):
                await self._link.connect(self._hop)
                return f"{self._hop.name} answers"
        return f"and mail waits until {self._hop.name} answers: is it up, and are you its guest?"

    async def _make(self, mail: bytes, recipients: Sequence[str]) -> bytes:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._worker, self._way.message, mail, recipients)

    async def _leave(self, message: bytes) -> None:
        # No time is written down, not even sealed: it is due at once, and for ever.
        ticket = await self._spool.leave(Leaving(self._hop.address, message, 0.0, NEVER))
        self._backlog.more()
        self._deliveries.schedule([ticket])

    def _route(self, domain: str) -> Connect:
        return self._turn

    async def _turn(self) -> Turn:
        return Turn(await self._link.connect(self._hop), self._backlog)


async def _nothing_for_us(party: Party, mail: bytes, transfer: bytes) -> Word:
    """No mail comes to a guest."""
    return Word.REFUSED
