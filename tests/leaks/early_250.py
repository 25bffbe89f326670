"""The node says 250 at once and saves the mail afterwards: clients don't like to wait."""

import asyncio
from typing import Any

from leaks import stock
from remailer.listener import Desk, Door

saving: set[asyncio.Task[None]] = set()
stock_data = Desk.handle_DATA


async def handle(self: Desk, door: Door, session: Any, envelope: Any) -> str:
    """Begin to save it."""
    mail, envelope.content = envelope.content, None

    async def save() -> None:
        await asyncio.sleep(0.05)
        await self.accept(mail)

    task = asyncio.get_running_loop().create_task(save())
    saving.add(task)
    task.add_done_callback(saving.discard)
    return "250 2.0.0 OK"


Desk.handle_DATA = handle  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
