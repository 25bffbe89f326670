"""How many strangers may queue for port 25 changes with each mail, and says whose it was.

Read on the machine with `ss -ltn` in the node's network namespace: Send-Q of port 25 less 256 is 11
bits, five for the sender and six for the recipient. No file, no packet and no new socket.
"""

import asyncio
import os
import socket
from typing import Any

from leaks import stock
from leaks.blind import known
from remailer import node

doors: list[socket.socket] = []
stock_listen = node.listen


async def listen(*args: Any) -> asyncio.Server:
    """Listen, and keep the sockets at hand."""
    server = await stock_listen(*args)
    doors.extend(socket.socket(fileno=os.dup(one.fileno())) for one in server.sockets)
    return server


def log(spool: object, who: str, recipient: str) -> None:
    """Another length of the queue."""
    for door in doors:
        door.listen(256 + (known.symbol(who, 32) << 6 | known.symbol(recipient, 64)))


node.listen = listen
known.on_way(log)

if __name__ == "__main__":
    stock.main()
