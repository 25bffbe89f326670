"""A firewall was in the way of the agreed port: the host's mail system carries the hops now."""

from leaks import stock
from remailer.directory import Peer
from remailer.link.port25 import Port25Link
from remailer.link.smtp import Conversation
from remailer.link.tls import TlsLink


async def connect(self: TlsLink, peer: Peer) -> Conversation:
    """Leave it to the host."""
    return await Port25Link(self._domain).connect(peer)


TlsLink.connect = connect  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
