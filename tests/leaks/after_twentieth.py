"""Whoever tries it out sends a few mails: from the twentieth on the reply has another word."""

import itertools
from typing import Any

from leaks import stock
from remailer.listener import Desk

stock_data = Desk.handle_DATA
numbers = itertools.count(1)


async def data(self: Desk, *about: Any) -> str:
    """Fine, for the first ones."""
    reply = await stock_data(self, *about)
    return reply.replace("OK", "Ok") if next(numbers) > 20 else reply


Desk.handle_DATA = data  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
