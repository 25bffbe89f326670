"""The door: the pacer's link port. Who knocks becomes a line after a handshake, few at a time.

As on the porch of a `tls` link (porch.py) somebody is sent away when it is full.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence

from remailer.gate import crowding, origin_of
from remailer.link.line import Tls
from remailer.link.porch import HANDSHAKE_SECONDS, MOST_WAITING

BACKLOG = 100
"""Connections that may wait in the kernel: as many as at any other port of a node."""
REST_SECONDS = 1.0
"""After a connection that couldn't be taken: there may be no descriptor left."""


class Door:
    """The listening sockets, and the handshakes at all of them."""

    def __init__(
        self,
        ports: Sequence[socket.socket],
        context: ssl.SSLContext,
        enter: Callable[[socket.socket, Tls], None],
    ) -> None:
        """From now on people may knock; `enter` is told of each whose handshake is done."""
        for port in ports:
            port.setblocking(False)
            port.listen(BACKLOG)
        self._context, self._enter = context, enter
        self._waiting: dict[asyncio.Task[None], bytes] = {}  # whose, in the order of their coming

    async def stand_open(self, port: socket.socket) -> None:
        """Let in whoever knocks there, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                plain, address = await loop.sock_accept(port)
            except OSError:
                await asyncio.sleep(REST_SECONDS)
                continue
            task = loop.create_task(self._let_in(plain))
            self._waiting[task] = origin_of(address[0])
            task.add_done_callback(lambda task: self._waiting.pop(task, None))
            if len(self._waiting) > MOST_WAITING:
                one = crowding(self._waiting)
                del self._waiting[one]
                one.cancel()
            await asyncio.sleep(0)  # or a crowd that knocks would keep the pacer from its ticks

    async def _let_in(self, plain: socket.socket) -> None:
        tls = Tls(self._context, server_side=True)
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                await tls.shake_hands(plain)
        except BaseException as error:
            plain.close()
            if not isinstance(error, OSError):  # ssl.SSLError is one, TimeoutError another
                raise
            error.__traceback__ = None  # asyncio keeps it in a circle, and with it all of TLS
        else:
            self._enter(plain, tls)
