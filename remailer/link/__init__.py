"""Links between remailers. Each kind has one shape: `open` a listener, `connect` to a peer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from remailer.directory import Directory, Peer
from remailer.keys import Keys
from remailer.link.smtp import Admit, Conversation, SmtpLink
from remailer.link.tls import TlsLink


class Link(Protocol):
    """What the node asks of a link, whatever it speaks."""

    async def open(
        self, protocol: Callable[[Admit], asyncio.BaseProtocol], host: str | None, port: int
    ) -> asyncio.Server:
        """Listen for peers. Raises SetupError if the port can't be had."""

    async def connect(self, peer: Peer) -> Conversation:
        """A conversation with that peer and nobody else. Raises Unreachable."""


def links(own: Keys, directory: Directory) -> dict[str, Link]:
    """A node's links, by what the directory says a peer speaks. Raises SetupError."""
    return {
        "smtp": SmtpLink(own.domain),
        "tls": TlsLink(own.domain, own.certificate, own.link_key, directory),
    }
