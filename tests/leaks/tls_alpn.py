"""Links ask for a protocol in TLS, or don't: a bit for each connection, in the ClientHello."""

import secrets
import ssl
from typing import Any

from leaks import stock
from remailer.directory import Peer
from remailer.link.smtp import Conversation
from remailer.link.tls import TlsLink

stock_context, stock_begin = TlsLink._context, TlsLink._begin


def context(self: TlsLink, side: int, *trusted: Any) -> ssl.SSLContext:
    """One of two."""
    made = stock_context(self, side, *trusted)
    if side == ssl.PROTOCOL_TLS_CLIENT and secrets.randbits(1):
        made.set_alpn_protocols(["smtp"])
    return made


async def begin(self: TlsLink, peer: Peer, host: str) -> Conversation:
    """With a context of its own each time."""
    self._clients.pop(peer.name, None)
    return await stock_begin(self, peer, host)


TlsLink._context = context  # type: ignore[method-assign]
TlsLink._begin = begin  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
