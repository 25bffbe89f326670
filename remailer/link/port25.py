"""Through the mail systems of both hosts, as in 1993: both write down whose mail goes to whom.

Whatever leaves is handed to this host's own mail system, on port 25 of the loopback; that finds
the way by MX and keeps what has to wait, in its own queue and in clear.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from remailer.directory import Peer
from remailer.link.smtp import Admit, Conversation

HOST, PORT = "127.0.0.1", 25
"""Where a host's mail system takes the mail of its own users."""


class Port25Link:
    """The host's mail system, for peers and for ordinary recipients alike."""

    def __init__(self, domain: str, port: int = PORT) -> None:
        """`domain`: how we greet; only tests give another port."""
        self._domain = domain
        self._port = port

    async def open(
        self, protocol: Callable[[Admit], asyncio.BaseProtocol], host: str | None, port: int
    ) -> None:
        """Nothing: that port is the host's."""

    async def connect(self, peer: Peer) -> Conversation:
        """The same for every peer. Raises Unreachable."""
        return await self.hand_over()

    async def hand_over(self) -> Conversation:
        """A conversation with the host's mail system, for any mail. Raises Unreachable."""
        conversation = await Conversation.begin(HOST, self._port, self._domain)
        return await conversation.greet()
