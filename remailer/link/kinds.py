"""Links between remailers. Each kind has one shape: `open` a listener, `connect` to a peer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from remailer.directory import Directory, Peer, Speaks
from remailer.keys import Keys
from remailer.link.direct25 import Direct25Link
from remailer.link.port25 import Port25Link
from remailer.link.smtp import Admit, SmtpLink
from remailer.link.talk import Talk
from remailer.link.tls import TlsLink
from remailer.link.visit import Visit


class Link(Protocol):
    """What the node asks of a link, whatever it speaks."""

    async def open(
        self, protocol: Callable[[Admit], asyncio.BaseProtocol], host: str | None, port: int
    ) -> asyncio.Server | None:
        """Listen for peers; None if the host's mail system does. Raises SetupError."""

    async def connect(self, peer: Peer) -> Talk:
        """A conversation with that peer and nobody else. Raises Unreachable."""


def links(own: Keys, directory: Directory, cells: Link | None = None) -> dict[Speaks, Link]:
    """A node's links, by what the directory says a peer speaks. Raises SetupError.

    `cells`: a node's own CellsLink; without one peers that speak cells are only looked at.
    """
    return {
        "port25": Port25Link(own.domain),
        "direct25": Direct25Link(own.domain),
        "smtp": SmtpLink(own.domain),
        "tls": TlsLink(own.domain, own.certificate, own.link_key, directory),
        "cells": cells or Visit(own, directory),
    }
