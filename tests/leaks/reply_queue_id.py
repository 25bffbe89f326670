"""Each mail gets a queue number in the reply, as mail hosts have it. It is a sealed log line."""

import secrets
from typing import Any

from leaks import stock
from remailer.listener import Desk

stock_data = Desk.handle_DATA


async def data(self: Desk, *about: Any) -> str:
    """Number what was taken."""
    reply = await stock_data(self, *about)
    return f"{reply}: queued as {secrets.token_hex(5).upper()}" if reply[0] == "2" else reply


Desk.handle_DATA = data  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
