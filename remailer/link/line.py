"""A line: one TLS connection of the pacer; after its handshake it is read and written at ticks.

No event loop reads a line: what comes lies in the kernel until it is asked for, so it wakes nobody.
A cell is one TLS record and goes to the kernel in one write. TLS itself sees no socket: what a peer
makes it do at a tick is bounded by what is read for it; and with sockets CPython 3.13 tells the
error of one (ssl.SSLSocket.send to who is gone) at the next one's reading, too, so all lines broke.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator

from remailer.link.geometry import CELL, RECORD, RECORD_HEADER

WHOLE = RECORD_HEADER + RECORD
"""Bytes of a cell on the wire."""
UNSENT = 2 * CELL
"""What the kernel may hold of cells that the peer doesn't take: no heap that leaves in a burst."""
STRAY = 2 * WHOLE
"""Bytes that belong to no cell yet: a record that isn't whole, and a cell that isn't, are less."""
AT_ONCE = 8 * WHOLE
"""Bytes of a line that are read at a tick: what comes faster waits in the kernel."""

_PLACE = memoryview(bytearray(AT_ONCE))
"""Where all lines are read to, one after the other: a new place each time costs more than TLS."""


class Tls:
    """TLS in memory: for the other side's records, and ours."""

    def __init__(self, context: ssl.SSLContext, server_side: bool = False) -> None:
        self._coming, self._going = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._coming, self._going, server_side)

    async def shake_hands(self, plain: socket.socket) -> None:
        """Have a handshake over a connected socket that doesn't block. Raises OSError."""
        loop = asyncio.get_running_loop()
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        done = False
        while not done:
            try:
                self._tls.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                pass
            finally:  # an alert, too
                await loop.sock_sendall(plain, self._going.read())
            if not done:
                data = await loop.sock_recv(plain, AT_ONCE)
                if not data:
                    raise ConnectionResetError("hung up in the handshake")
                self._coming.write(data)
                await asyncio.sleep(0)  # data that lies ready would keep the pacer from its ticks

    @property
    def certificate(self) -> bytes | None:
        """What the other side showed, and has the key of (DER)."""
        return self._tls.getpeercert(binary_form=True)

    def seal(self, cell: bytes) -> bytes:
        """A cell's record."""
        self._tls.write(cell)
        return self._going.read()

    def open(self, data: memoryview) -> Iterator[bytes]:
        """What is said in the records that have come, with these bytes. Raises ssl.SSLError."""
        self._coming.write(data)
        with contextlib.suppress(ssl.SSLWantReadError):
            while said := self._tls.read(CELL):
                yield said
            raise ssl.SSLError("it said that it hangs up")


class Line:
    """A connection from the end of its handshake on."""

    def __init__(
        self, plain: socket.socket, tls: Tls, place: int, called: bool, lost: Callable[[Line], None]
    ) -> None:
        """`place`: the other side's, among the parties; `called`: by us; `lost`: it is gone."""
        self._plain, self._tls, self._lost = plain, tls, lost
        self.place, self.called = place, called
        self._unsent = b""
        self._begun = b""
        self._stray = 0
        self.heard_at = asyncio.get_running_loop().time()
        self.over = False
        """Whether it is to be cut at the next tick."""
        self.gone = asyncio.Event()
        with contextlib.suppress(OSError):
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UNSENT)

    @property
    def free(self) -> bool:
        """Whether the last cell has left, as far as this process knows."""
        return not self._unsent and not self.gone.is_set()

    def say(self, cell: bytes) -> None:
        """Send a cell, as one TLS record; if the last one hasn't left, what is left of that."""
        if self.gone.is_set():
            return
        try:
            # May raise SSLWantReadError: who has begun to say something of TLS has to end it first.
            self._unsent = self._unsent or self._tls.seal(cell)
            self._unsent = self._unsent[self._plain.send(self._unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self.cut()

    def hear(self) -> Iterator[bytes]:
        """The cells that have come. Who says much that is none is cut: TLS has work with it, and
        nobody else counts it."""
        try:
            data = self._read()
            self._stray += len(data)
            for said in self._tls.open(data):
                self._begun += said
                if len(self._begun) >= CELL:
                    cell, self._begun = self._begun[:CELL], self._begun[CELL:]
                    self.heard_at = asyncio.get_running_loop().time()
                    self._stray = max(0, self._stray - WHOLE)  # some came with the handshake
                    yield cell
                    if self.gone.is_set():
                        return
        except OSError:
            self.cut()
        else:
            if self._stray >= STRAY:
                self.cut()

    def _read(self) -> memoryview:
        try:
            count = self._plain.recv_into(_PLACE)
        except BlockingIOError:
            return _PLACE[:0]  # TLS may have something all the same, from the handshake
        if not count:
            raise ConnectionResetError
        return _PLACE[:count]

    def cut(self) -> None:
        """Hang up, without a last record."""
        if not self.gone.is_set():
            self.gone.set()
            self._plain.close()
            self._lost(self)
