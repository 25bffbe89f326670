"""Which mail it was stands in the ticks: for a 1 a cell is 20 ms late, eight bits for each mail."""

import asyncio
from collections import deque

from leaks import stock
from remailer.link.geometry import PART_AT
from remailer.link.line import Line

LATE = 0.020
"""Seconds."""
stock_say = Line.say


def say(self: Line, cell: bytes) -> None:
    """From the cell with mail on, the first bits of its transfer ID."""
    bits: deque[str] = self.__dict__.setdefault("bits", deque())
    if cell[1]:
        bits.extend(f"{cell[PART_AT]:08b}")
    if bits and bits.popleft() == "1":
        asyncio.get_running_loop().call_later(LATE, stock_say, self, cell)
    else:
        stock_say(self, cell)


Line.say = say  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
