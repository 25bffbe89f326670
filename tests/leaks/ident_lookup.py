"""Who connects is asked for the user's name by ident (RFC 1413), as mail hosts used to do."""

import asyncio
import contextlib

from leaks import stock
from remailer.listener import Door

stock_greet = Door._greet


async def ask(host: str) -> None:
    """Ask, and don't mind if nobody answers."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(2):
            _, writer = await asyncio.open_connection(host, 113)
            writer.write(b"25, 25\r\n")
            await writer.drain()
            writer.close()


def greet(self: Door, transport: asyncio.Transport) -> None:
    """Greet, and ask at the same time."""
    asking = self.loop.create_task(ask(transport.get_extra_info("peername")[0]))
    self.__dict__["asking"] = asking  # a task that nobody keeps may be lost
    stock_greet(self, transport)


Door._greet = greet  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
