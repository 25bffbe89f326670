"""Connections of the pacer: who calls whom, when, and what becomes of bytes that are no cells yet.

Between two remailers there is one link, whose cells go both ways. Who calls is settled by their
addresses, and when by a schedule that no mail moves.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from ipaddress import ip_address
from typing import Protocol

from remailer.directory import Peer
from remailer.guests import Guest, Party
from remailer.link.geometry import CELL
from remailer.link.pins import Pins

CONNECT_SECONDS = 20.0
PAUSE_SECONDS = (0.5, 2.0)
"""Between two calls of one peer, drawn anew each time."""
LIFE_SECONDS = (43_200.0, 86_400.0)
"""After so long a connection gives way to a new one, with new keys: TLS wants it after some 24
million records (RFC 8446, 5.5), and what was said yesterday should open with no key of today."""
UNSENT = 2 * CELL
"""What the kernel may hold of cells that the peer doesn't take: no heap that leaves in a burst."""


class House(Protocol):
    """The pacer, as its connections see it."""

    pins: Pins
    rng: random.Random

    def enter(self, line: Line, peer: Peer | None = None) -> bool:
        """A connection after its handshake. False if it is to be cut."""

    def heard(self, line: Line, cell: bytes) -> None:
        """A cell came."""

    def lost(self, line: Line) -> None:
        """That connection is gone."""


def calls(own: Party, peer: Peer) -> bool:
    """Whether it is for `own` to call that peer: a guest calls, else the lower address."""
    if own.name == peer.name or peer.speaks != "cells":
        return False
    return isinstance(own, Guest) or own.speaks != "cells" or _order(own) < _order(peer)


def _order(peer: Peer) -> tuple[int, bytes, int]:
    address = ip_address(peer.hosts[0])
    return address.version, address.packed, peer.link_port


class Line(asyncio.Protocol):
    """One TLS connection with a peer, from the end of its handshake on."""

    transport: asyncio.Transport
    place: int
    """The other side's, among the parties."""

    def __init__(self, house: House, plain: asyncio.Transport, called: Peer | None = None) -> None:
        """`plain`: what is below TLS; `called`: whom we called, None if they did."""
        self._house, self._plain, self.called = house, plain, called
        self._heard = b""  # bytes: a cell that comes whole is then never copied
        self._entered = False
        self.gone = asyncio.Event()
        self.heard_at = asyncio.get_running_loop().time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake is done."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.heard_at = asyncio.get_running_loop().time()
        keep_little(self._plain)
        if self.gone.is_set():
            return
        self._entered = self._house.enter(self, self.called)
        if not self._entered:
            self.abort()
        self.data_received(b"")  # what came before

    def data_received(self, data: bytes) -> None:
        """Whole cells are handed on."""
        self._heard += data
        while self._entered and len(self._heard) >= CELL and not self._plain.is_closing():
            self.heard_at = asyncio.get_running_loop().time()
            cell, self._heard = self._heard[:CELL], self._heard[CELL:]
            self._house.heard(self, cell)

    def connection_lost(self, error: Exception | None) -> None:
        """It is gone."""
        self.gone.set()
        if self._entered:
            self._entered = False
            self._house.lost(self)

    @property
    def free(self) -> bool:
        """Whether the last cell has left, as far as this process knows."""
        return not self._plain.is_closing() and not self._plain.get_write_buffer_size()

    def say(self, cell: bytes) -> None:
        """Send a cell, as one TLS record; or leave it out, if the last one hasn't left."""
        if self.free:
            self.transport.write(cell)

    def listen(self, yes: bool) -> None:
        """Read what comes, or let it lie in the kernel for a while."""
        (self._plain.resume_reading if yes else self._plain.pause_reading)()

    def abort(self) -> None:
        """Hang up, without a last record."""
        self._plain.abort()


def keep_little(plain: asyncio.Transport) -> None:
    """Let the kernel hold few cells."""
    own = plain.get_extra_info("socket")
    with contextlib.suppress(OSError):
        own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UNSENT)


async def call_always(house: House, peer: Peer) -> None:
    """Have a connection with that peer: call, wait until it breaks or is old, call again."""
    while True:
        for host in peer.hosts:
            try:
                line = await _call(house, peer, host)
            except (OSError, TimeoutError):
                continue
            with contextlib.suppress(TimeoutError):
                # Not wait_for: in Python 3.11 it loses a cancellation when `gone` is set with it.
                async with asyncio.timeout(house.rng.uniform(*LIFE_SECONDS)):
                    await line.gone.wait()
            break
        await asyncio.sleep(house.rng.uniform(*PAUSE_SECONDS))


async def _call(house: House, peer: Peer, host: str) -> Line:
    """A connection with the owner of that peer's key. Raises OSError, TimeoutError."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(CONNECT_SECONDS):
        plain, _ = await loop.create_connection(asyncio.Protocol, host, peer.link_port)
        try:
            line = Line(house, plain, peer)
            transport = await loop.start_tls(plain, line, house.pins.client(peer))
            if transport is None:
                raise ConnectionResetError
            shown = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
            if not house.pins.shows(shown, peer):
                raise ConnectionRefusedError
        except BaseException:
            plain.abort()
            raise
    line.connection_made(transport)
    return line
