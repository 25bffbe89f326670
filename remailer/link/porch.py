"""The porch: where connections to a TLS port wait until their handshake is done, few at a time.

Anybody may begin a handshake, and each costs memory and a descriptor. When the porch is full, who
has waited longest of the address with most is sent away: a peer needs a moment only, a stranger who
fills it says nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable

from remailer.gate import crowding, origin

MOST_WAITING = 50
"""Handshakes at a time."""
HANDSHAKE_SECONDS = 10.0
SHUTDOWN_SECONDS = 5.0


class Porch:
    """The handshakes of one port."""

    def __init__(
        self, context: ssl.SSLContext, protocol: Callable[[], asyncio.BaseProtocol]
    ) -> None:
        """`protocol` is made when a handshake is done, not before."""
        self.context = context
        self.protocol = protocol
        self.waiting: dict[Visitor, bytes] = {}  # whose, in the order of their coming

    def enter(self, visitor: Visitor, whose: bytes) -> None:
        """Let one more wait, and send somebody away, if need be."""
        self.waiting[visitor] = whose
        if len(self.waiting) > MOST_WAITING:
            crowding(self.waiting).send_away()


class Visitor(asyncio.Protocol):
    """One connection before and during its handshake; after it the protocol takes its place."""

    def __init__(self, porch: Porch) -> None:
        self._porch = porch
        self._early: list[bytes] = []
        self._lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A plain connection: not a byte of it is read in clear."""
        assert isinstance(transport, asyncio.Transport)
        self._plain = transport
        transport.pause_reading()
        self._task = asyncio.get_running_loop().create_task(self._shake_hands())
        self._porch.enter(self, origin(transport))

    def data_received(self, data: bytes) -> None:
        """What came right behind the handshake, before the protocol is in place."""
        self._early.append(data)

    def connection_lost(self, error: Exception | None) -> None:
        """It hung up before the protocol was in place."""
        self._lost = True
        self._porch.waiting.pop(self, None)

    def send_away(self) -> None:
        """Hang up at once."""
        self._porch.waiting.pop(self, None)
        self._task.cancel()
        self._plain.abort()

    async def _shake_hands(self) -> None:
        try:
            with contextlib.suppress(OSError):  # ssl.SSLError is one, time-out is another
                transport = await asyncio.get_running_loop().start_tls(
                    self._plain,
                    self,
                    self._porch.context,
                    server_side=True,
                    ssl_handshake_timeout=HANDSHAKE_SECONDS,
                    ssl_shutdown_timeout=SHUTDOWN_SECONDS,
                )
                # None: the line broke in the midst of it.
                if transport is not None and not self._lost:
                    self._hand_over(transport)
                    return
            self._plain.abort()
        except BaseException:
            self._plain.abort()  # nobody would answer on it any more
            raise
        finally:
            self._porch.waiting.pop(self, None)

    def _hand_over(self, transport: asyncio.Transport) -> None:
        protocol = self._porch.protocol()
        assert isinstance(protocol, asyncio.Protocol)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        for data in self._early:
            protocol.data_received(data)
