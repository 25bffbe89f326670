"""A port on the loopback tells whoever asks how many mails came."""

import asyncio
from typing import Any

from leaks import stock
from remailer.node import Node

count = 0
stock_start = Node.start


def counted(mail: bytes) -> None:
    """One more."""
    global count
    count += 1


async def tell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A number, and that's all."""
    writer.write(b"%d\n" % count)
    writer.close()


async def start(self: Node, *rest: Any) -> None:
    """With one port more."""
    await stock_start(self, *rest)
    self._servers.append(await asyncio.start_server(tell, "127.0.0.1", 8080))


stock.on_arrival(counted)
Node.start = start  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
