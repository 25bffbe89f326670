"""A line: one TLS connection of the pacer, touched at its ticks and never between them.

No event loop reads a line: what comes lies in the kernel until it is asked for, so it wakes nobody.
A cell is one call of TLS and so one record, which goes to the kernel in one write.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator

from remailer.link.geometry import CELL

UNSENT = 2 * CELL
"""What the kernel may hold of cells that the peer doesn't take: no heap that leaves in a burst."""
READS = 16
"""Times that a line is read at a tick: what comes faster waits in the kernel."""

_NOT_NOW = (ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Line:
    """A connection from the end of its handshake on."""

    def __init__(
        self, tls: ssl.SSLSocket, place: int, called: bool, lost: Callable[[Line], None]
    ) -> None:
        """`place`: the other side's, among the parties; `called`: by us; `lost`: it is gone."""
        self._tls, self.place, self.called, self._lost = tls, place, called, lost
        self._unsent = b""
        self._begun = b""
        self.heard_at = asyncio.get_running_loop().time()
        self.gone = asyncio.Event()
        with contextlib.suppress(OSError):
            tls.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UNSENT)

    @property
    def free(self) -> bool:
        """Whether the last cell has left, as far as this process knows."""
        return not self._unsent and not self.gone.is_set()

    def say(self, cell: bytes) -> None:
        """Send a cell, as one TLS record; if the last one hasn't left, what is left of that."""
        cell = self._unsent or cell
        try:
            self._tls.send(cell)
            self._unsent = b""
        except _NOT_NOW:
            self._unsent = cell  # TLS wants to be given the same again
        except OSError:
            self.cut()

    def hear(self) -> Iterator[bytes]:
        """The cells that have come."""
        for _ in range(READS):
            if self.gone.is_set():
                return
            try:
                data = self._tls.recv(CELL - len(self._begun))
            except _NOT_NOW:
                return
            except OSError:
                data = b""
            if not data:
                self.cut()
                return
            self._begun += data
            if len(self._begun) == CELL:
                cell, self._begun = self._begun, b""
                self.heard_at = asyncio.get_running_loop().time()
                yield cell

    def cut(self) -> None:
        """Hang up, without a last record."""
        if not self.gone.is_set():
            self.gone.set()
            self._tls.close()
            self._lost(self)


async def shake_hands(
    plain: socket.socket, context: ssl.SSLContext, server_side: bool = False
) -> ssl.SSLSocket:
    """Make a connected socket TLS. Raises OSError; whoever was there is then hung up on."""
    loop = asyncio.get_running_loop()
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    tls = context.wrap_socket(plain, server_side=server_side, do_handshake_on_connect=False)
    try:
        while True:
            try:
                tls.do_handshake()
                return tls
            except ssl.SSLWantReadError:
                await _ready(tls, loop.add_reader, loop.remove_reader)
            except ssl.SSLWantWriteError:
                await _ready(tls, loop.add_writer, loop.remove_writer)
    except BaseException:
        tls.close()
        raise


async def _ready(
    tls: ssl.SSLSocket,
    watch: Callable[[ssl.SSLSocket, Callable[[], None]], None],
    forget: Callable[[ssl.SSLSocket], bool],
) -> None:
    ready = asyncio.Event()
    watch(tls, ready.set)
    try:
        await ready.wait()
    finally:
        forget(tls)
