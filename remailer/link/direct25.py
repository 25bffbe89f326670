"""Straight to port 25 of the peer's host: our own side is silent, the receiving mail system is not.

What comes from peers is given to the receiving host's mail system, and by that to `remailer
deliver`: so there is no port of our own to open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from remailer.directory import Peer
from remailer.link.smtp import Admit, Conversation, SmtpLink


class Direct25Link:
    """Plain SMTP to the peer's host, found in the directory like any peer; its port there is 25."""

    def __init__(self, domain: str) -> None:
        """`domain`: how we greet."""
        self._smtp = SmtpLink(domain)

    async def open(
        self, protocol: Callable[[Admit], asyncio.BaseProtocol], host: str | None, port: int
    ) -> None:
        """Nothing: that port is the host's."""

    async def connect(self, peer: Peer) -> Conversation:
        """Greet the first of the peer's hosts that answers. Raises Unreachable."""
        return await self._smtp.connect(peer)
