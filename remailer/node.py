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
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from remailer import answers, local
from remailer.blocked import NOBODY, Blocked
from remailer.delivery import HOSTS, PEERS, Connect, Deliveries, back_off
from remailer.directory import HOSTED, Directory
from remailer.errors import SetupError, SpoolFull
from remailer.exit import SMTP_PORT, Exit
from remailer.gate import MAX_CONNECTIONS, MAX_STRANGERS, RATE, Gate, Rate
from remailer.keys import Keys
from remailer.link import links
from remailer.link.port25 import Port25Link
from remailer.link.smtp import listen
from remailer.listener import Accept, Desk, Door
from remailer.outgoing import domain_of
from remailer.peel import Peelers
from remailer.pool import Pool
from remailer.resolver import Resolver
from remailer.rules import Rules
from remailer.seal import Arrived, Leaving
from remailer.spool import DAY, GIVE_UP_DAYS, Spool, Ticket
from remailer.starttls import HostKey

PEELING = 8
"""Mails in memory on their way from the spool through the peeling workers and back."""

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
        self._links = links(keys, directory)
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
        self._host_key = (
            HostKey.of(*place.certificate) if place.certificate else HostKey.make(keys.domain)
        )
        # Beside a mail host there is one stranger only, that host.
        self._strangers = (
            Gate(MAX_STRANGERS, of_one=MAX_STRANGERS)
            if place.hosted
            else Gate(MAX_STRANGERS, rate=Rate(place.rate))
        )
        self._guests = Gate(MAX_CONNECTIONS - MAX_STRANGERS)
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
        with contextlib.suppress(SpoolFull):
            await self._spool.expire()  # else at midnight
        try:
            arrived, leaving = await self._spool.contents()
        except SpoolFull:
            raise SetupError("the spool can't be read: its disk is failing") from None
        for id_ in arrived:
            self._arrived.put_nowait(id_)
        self._schedule(leaving)
        await self._open_ports()
        work: list[Coroutine[Any, Any, None]] = [self._peel_always() for _ in range(PEELING)]
        self._tasks = [asyncio.create_task(one) for one in (*work, self._forget_always())]

    async def _open_ports(self) -> None:
        link = self._links[self._entry.speaks]
        place = self._place
        peers = await link.open(
            self._door(self._accept_transfer, self._guests), place.host, self._entry.link_port
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
        """Stop at once; what isn't done is in the spool."""
        for server in self._servers:
            server.close()
        for gate in (self._strangers, self._guests):
            gate.close()
        # Before the peelers: a worker that is stopped looks like one that dropped its mail.
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._to_peers.stop()
        self._to_hosts.stop()
        self._spool.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._peelers.stop(), 0.5)

    # -- in -------------------------------------------------------------------------------------

    async def _accept(self, mail: bytes) -> None:
        await self._take_in(mail, None)

    async def _accept_transfer(self, mail: bytes) -> None:
        await self._take_in(mail, transfer_id(mail))

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
        """At every midnight (UTC), forget the transfer IDs that are old enough, and all uses."""
        while True:
            await asyncio.sleep(DAY - time.time() % DAY + 1)
            with contextlib.suppress(Exception):
                await self._spool.expire()

    # -- out ------------------------------------------------------------------------------------

    def _schedule(self, tickets: Iterable[Ticket]) -> None:
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


def transfer_id(mail: bytes) -> bytes | None:
    """The Message-ID, which the peer made at random for this hop; None if there is none."""
    header, _, _ = mail.partition(b"\r\n\r\n")
    found = _MESSAGE_ID.search(header)
    return found[1] if found else None
