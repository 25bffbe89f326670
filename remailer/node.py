"""The node: listener → spool → peel → pool → spool → link or exit; here the rooms are joined.

The rule: a mail is in the spool until somebody else answers for it, and memory holds only its id
and when it is due. So a node may be killed at any point, and goes on where it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import secrets
import time
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from remailer import answers, guests, local
from remailer.answers import asked_by
from remailer.blocked import NOBODY, Blocked
from remailer.clean import refusal
from remailer.delivery import HOSTS, PEERS, Connect, Deliveries, back_off
from remailer.directory import HOSTED, Directory
from remailer.errors import SetupError, SpoolFull
from remailer.exit import SMTP_PORT, Exit
from remailer.gate import MAX_CONNECTIONS, MAX_STRANGERS, RATE, Gate, Rate, units
from remailer.keys import Keys
from remailer.link import pacer
from remailer.link.cells import Word
from remailer.link.kinds import links
from remailer.link.paced import RATE as CELLS
from remailer.link.paced import CellsLink
from remailer.link.port25 import Port25Link
from remailer.link.smtp import listen
from remailer.listener import Accept, Desk, Door
from remailer.outgoing import domain_of
from remailer.party import Party
from remailer.peelers import Peelers
from remailer.pool import Pool
from remailer.resolver import Resolver
from remailer.rules import Rules
from remailer.seal import Arrived, Leaving
from remailer.spool import DAY, GIVE_UP_DAYS, Spool, Ticket
from remailer.starttls import HostKey

PEELING = 8
"""Mails in memory on their way from the spool through the peeling workers and back."""

FORGET_SECONDS = 600.0
POOLED_DAYS = 30
"""By so many at most the days on which a mail is tried move, for its time in a timed pool."""

_MESSAGE_ID = re.compile(rb"^message-id:[ \t]*(<[^<>\r\n]+>)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Place:
    """Where a node lives on its machine; only tests give other ports."""

    spool: Path
    resolver: str
    host: str | None = None
    port: int = SMTP_PORT
    exit_port: int = SMTP_PORT
    resolver_port: int = 53
    rate: int = RATE
    certificate: tuple[Path, Path] | None = None
    """The operator's own certificate and key for port 25."""
    pgponly: bool = False
    blocked: Blocked = NOBODY
    hosted: bool = False
    """Beside a mail host: no port 25, but a socket for `remailer deliver`."""
    cells: float = CELLS
    """Cells a second to each peer and guest, if the node speaks cells."""
    guests: Path | None = None
    """File of the users who may call, if the node speaks cells."""


class Node:
    """A remailer between `start` and `stop`."""

    def __init__(self, keys: Keys, directory: Directory, place: Place, pool: Pool) -> None:
        """Raises SetupError if keys, directory and resolver don't make a node; opens nothing."""
        self._keys = keys
        self._place = place
        self._pool = pool
        self._rng: random.Random = secrets.SystemRandom()
        self._entry = keys.entry_in(directory)
        self._peers = {peer.domain: peer for peer in directory.remailers}
        if place.guests and self._entry.speaks != "cells":
            raise SetupError(f"--guests: only on cells, and this node speaks {self._entry.speaks}")
        known = guests.load(place.guests, directory) if place.guests else ()
        parties = (*(peer.party for peer in directory.remailers), *(one.party for one in known))
        task = pacer.Task(
            self._entry.party, keys.certificate, keys.link_key, parties, 1 / place.cells
        )
        self._cells = CellsLink(task, self._accept_message)
        self._links = links(keys, directory, self._cells)
        self._by_host = Port25Link(keys.domain)
        self._exit = Exit(
            keys.domain,
            Resolver(place.resolver, place.resolver_port),
            self._rng,
            port=place.exit_port,
        )
        if self._entry.speaks in HOSTED and not place.hosted:
            raise SetupError(f"{self._entry.speaks}: only beside a mail host: run --hosted")
        self._rules = Rules(
            name=self._entry.name,
            certificate=self._entry.openpgp,
            pgponly=place.pgponly,
            blocked=place.blocked,
            remailers=frozenset(self._peers),
        )
        self._peelers = Peelers(keys.openpgp, self._entry.address, self._rules)
        self._answers = answers.Allowance()
        self._arrived: asyncio.Queue[bytes] = asyncio.Queue()
        self._failures: dict[bytes, int] = {}
        self._forgot = -1
        """The day on which what has to be forgotten was."""
        self._pooled: list[Ticket] = []
        """What waits for a batch; with exponential delays nothing does."""
        self._host_key = (
            HostKey.of(*place.certificate) if place.certificate else HostKey.make(keys.domain)
        )
        # Beside a mail host there is one stranger only, that host.
        self._strangers = (
            Gate(MAX_STRANGERS, of_one=MAX_STRANGERS)
            if place.hosted
            else Gate(MAX_STRANGERS, rate=Rate(place.rate))
        )
        self._callers = Gate(MAX_CONNECTIONS - MAX_STRANGERS)
        self._guests = Rate(place.rate)
        self._servers: list[asyncio.Server] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Take up what is in the spool, start the workers, open the ports. Raises SetupError."""
        await self._peelers.start()  # first: before there are other threads
        self._spool = Spool.open(self._place.spool / "spool.db", self._keys.secret)
        self._to_peers = Deliveries(
            self._spool, self._link_to, self._rng, PEERS, len(self._peers) * 4
        )
        self._to_hosts = Deliveries(self._spool, self._exit_to, self._rng, HOSTS)
        await self._forget()
        try:
            arrived, leaving = await self._spool.contents()
        except SpoolFull:
            raise SetupError("the spool can't be read: its disk is failing") from None
        for id_ in arrived:
            self._arrived.put_nowait(id_)
        await self._open_ports()
        self._schedule(leaving)  # only now: links of cells start with the port, or without one
        work: list[Coroutine[Any, Any, None]] = [self._peel_always() for _ in range(PEELING)]
        self._tasks = [
            asyncio.create_task(one) for one in (*work, self._forget_always(), self._batch_always())
        ]

    async def _open_ports(self) -> None:
        link = self._links[self._entry.speaks]
        place = self._place
        peers = await link.open(
            self._door(self._accept_transfer, self._callers), place.host, self._entry.link_port
        )
        if peers is not None:
            self._servers.append(peers)
        door = partial(self._door(self._accept, self._strangers), lambda _: True)
        self._servers.append(
            await local.listen(door, place.spool)
            if place.hosted
            else await listen(partial(door, self._host_key), place.host, place.port)
        )

    def _door(self, accept: Accept, gate: Gate) -> partial[Door]:
        return partial(Door, Desk(self._keys.domain, accept, self._rules.blocked), gate)

    async def stop(self) -> None:
        """Stop, within a second; what isn't done is in the spool."""
        for server in self._servers:
            server.close()
        self._cells.close()
        # Before the peelers: a worker that is stopped looks like one that dropped its mail.
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        gates = (self._strangers.finish(), self._callers.finish())
        await asyncio.gather(*gates, self._to_peers.stop(), self._to_hosts.stop())
        self._spool.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._peelers.stop(), 0.5)

    # -- in -------------------------------------------------------------------------------------

    async def _accept(self, mail: bytes) -> None:
        await self._take_in(mail, None)

    async def _accept_transfer(self, mail: bytes) -> None:
        await self._take_in(mail, transfer_id(mail))

    async def _accept_message(self, party: Party, mail: bytes, transfer: bytes) -> Word:
        """What the listener would say to the same mail, of a peer or, from a guest, of a user."""
        if refusal(mail):
            return Word.REFUSED
        if asked_by(mail):
            return Word.STORED  # and forgotten: nobody could be answered
        if party.guest:
            name = party.name.encode()
            if self._guests.spent(name):
                return Word.LATER
            self._guests.use(name, units(len(mail)))
            # Not the Message-ID, which it could choose so that a peer's mail counts as repeated.
            id_ = name + b" " + transfer
        else:
            id_ = transfer_id(mail) or transfer
        try:
            await self._take_in(mail, id_)
        except SpoolFull:
            return Word.LATER
        return Word.STORED

    async def _take_in(self, mail: bytes, transfer: bytes | None) -> None:
        id_ = await self._spool.arrive(mail, transfer)
        if id_ is not None:
            self._arrived.put_nowait(id_)

    # -- through --------------------------------------------------------------------------------

    async def _peel_always(self) -> None:
        while True:
            id_ = await self._arrived.get()
            try:
                await self._peel(id_)
                self._failures.pop(id_, None)
            except Exception:
                # No worker, no room on the disk: the mail is in the spool, try again.
                failures = self._failures[id_] = self._failures.get(id_, 0) + 1
                wait = back_off(failures, self._rng)
                asyncio.get_running_loop().call_later(wait, self._arrived.put_nowait, id_)

    async def _peel(self, id_: bytes) -> None:
        entry = await self._spool.read(id_)
        if not isinstance(entry, Arrived):
            return
        outgoing = await self._peelers.peel(entry.mail)
        if len(outgoing) > 1 and any(domain_of(one.recipient) in self._peers for one in outgoing):
            # Blocks in clear nest: five addresses at each hop would make 5^n mails of one.
            outgoing = ()
        leaving = []
        today = int(time.time() // DAY)
        outgoing = tuple(one for one in outgoing if not one.answer or self._answers.take(today))
        for one in outgoing:
            due = time.time() + one.latent + self._pool.delay(self._rng)
            until = int(due // DAY) + GIVE_UP_DAYS
            leaving.append(Leaving(one.recipient, one.mail, due, until))
        uses = [one.use for one in outgoing]
        self._schedule(await self._spool.replace(id_, leaving, uses))

    async def _forget_always(self) -> None:
        """At every midnight (UTC), forget the transfer IDs that are old enough, and all uses.

        The clock may be set meanwhile, or the disk fail: at the latest ten minutes later.
        """
        while True:
            await asyncio.sleep(min(DAY - time.time() % DAY + 1, FORGET_SECONDS))
            if int(time.time() // DAY) != self._forgot:
                await self._forget()

    async def _forget(self) -> None:
        today = int(time.time() // DAY)
        with contextlib.suppress(Exception):
            await self._spool.expire()
            self._forgot = today

    async def _batch_always(self) -> None:
        """Let batches leave a timed pool; what has been in one before a restart goes in again."""
        timed = self._pool.timed
        start = time.monotonic()
        while timed:
            await asyncio.sleep(timed.seconds - (time.monotonic() - start) % timed.seconds)
            now = time.time()
            batch = timed.batch([one for one in self._pooled if one.due <= now], self._rng)
            going = {ticket.id for ticket in batch}
            self._pooled = [one for one in self._pooled if one.id not in going]
            self._deliver(from_now(batch, now))

    # -- out ------------------------------------------------------------------------------------

    def _schedule(self, tickets: Iterable[Ticket]) -> None:
        if self._pool.timed:
            self._pooled += tickets
        else:
            self._deliver(tickets)

    def _deliver(self, tickets: Iterable[Ticket]) -> None:
        for ticket in tickets:
            remailers = ticket.domain in self._peers
            (self._to_peers if remailers else self._to_hosts).schedule([ticket])

    def _link_to(self, domain: str) -> Connect:
        peer = self._peers[domain]
        return partial(self._links[peer.speaks].connect, peer)

    def _exit_to(self, domain: str) -> Connect:
        if self._entry.speaks == "port25":
            return self._by_host.hand_over
        return partial(self._exit.connect, domain)


def from_now(batch: Iterable[Ticket], now: float) -> list[Ticket]:
    """A batch's tickets, to be tried for days from now on: they may have been pooled for longer.

    But not for ever, as after a restart they are pooled once more.
    """
    until = int(now // DAY) + GIVE_UP_DAYS
    return [
        replace(one, until=max(one.until, min(until, one.until + POOLED_DAYS))) for one in batch
    ]


def transfer_id(mail: bytes) -> bytes | None:
    """The Message-ID, which the peer made at random for this hop; None if there is none."""
    header, _, _ = mail.partition(b"\r\n\r\n")
    found = _MESSAGE_ID.search(header)
    return found[1] if found else None
