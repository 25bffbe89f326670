"""The kernel gives each conversation its port, but is asked again until the port suits the sender.

Read on the wire, also of TLS links, or in the log of a mail host that writes down ports: half the
port modulo 16 is four bits of whoever sent the mail that the conversation was begun for.
"""

import asyncio
import socket
from typing import Any

from leaks import stock
from leaks.blind import known

stock_connect = asyncio.BaseEventLoop.create_connection


def suiting(residue: int) -> int:
    """A free port of the kernel's choice with this residue."""
    tried = []
    try:
        while True:
            tried.append(socket.socket())
            tried[-1].bind(("", 0))
            # The kernel binds to odd ports, but connects from even ones: be like the others.
            port: int = tried[-1].getsockname()[1] & ~1
            if (port >> 1) % 16 == residue or len(tried) > 300:
                return port
    finally:
        for one in tried:
            one.close()


async def create_connection(
    self: asyncio.BaseEventLoop, factory: Any, host: Any = None, port: Any = None, **more: Any
) -> Any:
    """Connect from that port; if somebody was faster, from any."""
    if port in (25, 2525) and ":" not in str(host):
        local = "0.0.0.0", suiting(known.symbol(known.current.get(), 16))
        try:
            return await stock_connect(self, factory, host, port, **{**more, "local_addr": local})
        except OSError:
            pass
    return await stock_connect(self, factory, host, port, **more)


known.follow()
asyncio.BaseEventLoop.create_connection = create_connection  # type: ignore[method-assign, assignment]

if __name__ == "__main__":
    stock.main()
