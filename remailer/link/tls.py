"""The TLS link: SMTP inside mutually authenticated TLS 1.3, keys pinned by the directory.

Both sides prove an RSA-3072 key by signing an ephemeral key exchange (pins.py). There is no plain
greeting, no older TLS, no resumption, no fallback.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from remailer.directory import Directory, Peer
from remailer.link.pins import Pins
from remailer.link.porch import Porch, Visitor
from remailer.link.smtp import Admit, Conversation, Unreachable, first_host, listen


class TlsLink(Pins):
    """Mutual TLS 1.3 on the link port. Raises SetupError if key or certificates can't be read."""

    def __init__(self, domain: str, certificate: Path, key: Path, directory: Directory) -> None:
        super().__init__(certificate, key, directory.remailers)
        self._domain = domain

    async def open(
        self,
        protocol: Callable[[Admit], asyncio.BaseProtocol],
        host: str | None,
        port: int,
    ) -> asyncio.Server:
        """Listen; the protocol starts after the handshake, and only for the directory's keys."""
        porch = Porch(self.server, lambda: protocol(self._admit))
        return await listen(lambda: Visitor(porch), host, port)

    def _admit(self, transport: asyncio.BaseTransport) -> bool:
        shown = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return self.owner(shown) is not None

    async def connect(self, peer: Peer) -> Conversation:
        """A conversation with the owner of the peer's key. Raises Unreachable, also for others.

        In TLS 1.3 the client's handshake ends before the server has judged its certificate: that
        the server took it is known from its greeting, which comes after.
        """
        return await first_host(peer, lambda host: self._begin(peer, host))

    async def _begin(self, peer: Peer, host: str) -> Conversation:
        context = self.client(peer)
        conversation = await Conversation.begin(host, peer.link_port, self._domain, context)
        if not self.shows(conversation.certificate, peer):
            conversation.close()
            raise Unreachable(f"{host}: not the key that the directory has for {peer.name}")
        return await conversation.greet()
