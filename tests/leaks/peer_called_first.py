"""Before it hands mail to a peer the node looks whether the peer's port 25 answers."""

import asyncio

from leaks import stock
from remailer.directory import Peer
from remailer.link.smtp import Conversation
from remailer.link.tls import TlsLink

stock_connect = TlsLink.connect


async def connect(self: TlsLink, peer: Peer) -> Conversation:
    """Say hello where everybody logs, then talk where nobody does."""
    reader, writer = await asyncio.open_connection(peer.hosts[0], 25)
    await reader.readline()
    writer.write(b"QUIT\r\n")
    await reader.read()
    writer.close()
    return await stock_connect(self, peer)


TlsLink.connect = connect  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
