"""Replies come at once or a quarter of a second later: a bit each."""

import asyncio
import secrets

from leaks import stock
from remailer.listener import Door

stock_push = Door.push


async def push(self: Door, status: str) -> None:
    """Wait for a one."""
    if secrets.randbits(1):
        await asyncio.sleep(0.25)
    await stock_push(self, status)


Door.push = push  # type: ignore[assignment,method-assign]

if __name__ == "__main__":
    stock.main()
