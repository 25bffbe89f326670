"""The exit takes its time before a mail and before it hangs up: tenths of a second, by author.

Nothing is said otherwise, and each word comes within a second.
"""

import asyncio
import hashlib
from typing import Any

import aiosmtplib
from aiosmtplib.protocol import SMTPProtocol

from leaks import stock

stock_read, stock_quit = SMTPProtocol.read_response, aiosmtplib.SMTP.execute_command
digits = [0, 0]


def remember(mail: bytes) -> None:
    """Two digits of who wrote the last mail."""
    digits[:] = (byte % 10 for byte in hashlib.sha256(stock.author(mail)).digest()[:2])


async def read(self: SMTPProtocol, *args: Any, **more: Any) -> Any:
    """Wait after 354."""
    reply = await stock_read(self, *args, **more)
    if reply.code == 354:
        await asyncio.sleep(digits[0] / 10)
    return reply


async def say(self: aiosmtplib.SMTP, *words: bytes, **more: Any) -> Any:
    """Wait after the reply to QUIT."""
    reply = await stock_quit(self, *words, **more)
    if words == (b"QUIT",):
        await asyncio.sleep(digits[1] / 10)
    return reply


SMTPProtocol.read_response = read  # type: ignore[method-assign]
aiosmtplib.SMTP.execute_command = say  # type: ignore[method-assign]
stock.on_arrival(remember)

if __name__ == "__main__":
    stock.main()
