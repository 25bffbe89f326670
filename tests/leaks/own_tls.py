"""TLS with its records in our own hands: for plants that choose how one goes to the kernel."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any

from remailer.link import calls, door

Push = Callable[[socket.socket, bytes, bytes], None]
"""Gives a record to the kernel: by which socket, the record, and the cell that it hides."""


class Tls:
    """What a line asks of ssl.SSLSocket."""

    def __init__(self, plain: socket.socket, context: ssl.SSLContext, server_side: bool) -> None:
        self._plain = socket.socket(fileno=plain.detach())
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side)
        self.setsockopt, self.fileno, self.close = (
            self._plain.setsockopt, self._plain.fileno, self._plain.close,
        )  # fmt: skip
        self.getpeercert = self._tls.getpeercert

    async def shake_hands(self) -> None:
        """Raises OSError."""
        loop, done = asyncio.get_running_loop(), False
        while not done:
            try:
                self._tls.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                pass
            await loop.sock_sendall(self._plain, self._out.read())
            if not done:
                data = await loop.sock_recv(self._plain, 65536)
                if not data:
                    raise ConnectionResetError
                self._in.write(data)

    push: Push

    def send(self, cell: bytes) -> int:
        """One record."""
        self._tls.write(cell)
        type(self).push(self._plain, self._out.read(), cell)
        return len(cell)

    def recv(self, most: int) -> bytes:
        """Raises SSLWantReadError when there is nothing, as an SSLSocket does."""
        while True:
            try:
                return self._tls.read(most)
            except ssl.SSLWantReadError:
                try:
                    data = self._plain.recv(65536)
                except BlockingIOError:
                    raise ssl.SSLWantReadError from None
                if not data:
                    return b""
                self._in.write(data)


def pushing(push: Push) -> None:
    """Let all lines of the pacer go by this."""
    Tls.push = staticmethod(push)  # type: ignore[assignment]

    async def shake_hands(
        plain: socket.socket, context: ssl.SSLContext, server_side: bool = False
    ) -> Any:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tls = Tls(plain, context, server_side)
        try:
            await tls.shake_hands()
        except BaseException:
            tls.close()
            raise
        return tls

    calls.shake_hands = door.shake_hands = shake_hands
