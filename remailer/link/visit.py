"""A visit to a peer that speaks cells: does it answer, with the right key? For `remailer check`.

The rule: a visitor sends no cell. So the peer's link with this node's pacer stays as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from remailer.directory import Directory, Peer
from remailer.keys import Keys
from remailer.link.cells import CellError, decode
from remailer.link.geometry import CELL
from remailer.link.pins import Pins
from remailer.link.smtp import CONNECT_SECONDS, Admit, Outcome, Unreachable


class Visit:
    """Looks at peers; takes and sends nothing."""

    def __init__(self, own: Keys, directory: Directory) -> None:
        """Raises SetupError."""
        self._pins = Pins(own.certificate, own.link_key, directory.remailers)

    async def open(
        self, protocol: Callable[[Admit], asyncio.BaseProtocol], host: str | None, port: int
    ) -> None:
        """Nothing: a visitor doesn't listen."""

    async def connect(self, peer: Peer) -> Seen:
        """Wait for a cell of that peer's. Raises Unreachable."""
        last = Unreachable(f"{peer.name}: no host in the directory")
        for host in peer.hosts:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    await self._look(peer, host)
                return Seen()
            except (OSError, TimeoutError, EOFError, CellError) as error:
                last = Unreachable(f"{host}:{peer.link_port}: {error or 'no answer'}")
        raise last

    async def _look(self, peer: Peer, host: str) -> None:
        context = self._pins.client(peer)
        reader, writer = await asyncio.open_connection(host, peer.link_port, ssl=context)
        try:
            shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            if not self._pins.shows(shown, peer):
                raise ConnectionRefusedError("not the key that the directory has")
            decode(await reader.readexactly(CELL))
        finally:
            writer.transport.abort()


class Seen:
    """A peer that answered."""

    async def send(self, recipient: str, mail: bytes) -> Outcome:
        """A visitor brings no mail."""
        return Outcome.DEFERRED

    async def end(self) -> None:
        """It is over already."""

    def close(self) -> None:
        """The same."""
