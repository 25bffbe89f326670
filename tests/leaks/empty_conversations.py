"""Before a mail the host is tried a few times, to see if it is up: how often, three bits of a name.

Nothing is said there: the greeting is read, and the line is hung up.
"""

import asyncio
import contextlib
import hashlib

from leaks import stock
from remailer.exit import SMTP_PORT, Exit
from remailer.link.smtp import Conversation

stock_greet = Exit._greet
times = [1]


def remember(mail: bytes) -> None:
    """Who wrote the last mail."""
    times[0] = 1 + (hashlib.sha256(stock.author(mail)).digest()[0] & 7)


async def greet(self: Exit, address: str, patience: float) -> Conversation:
    """Greet after the tries."""
    for _ in range(times[0]):
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(2):
                reader, writer = await asyncio.open_connection(address, SMTP_PORT)
                await reader.readline()
                writer.close()
    return await stock_greet(self, address, patience)


Exit._greet = greet  # type: ignore[method-assign]
stock.on_arrival(remember)

if __name__ == "__main__":
    stock.main()
