"""The pacer looks at a cell with mail once more before it goes: with mail the tick is late."""

import hashlib

from leaks import stock
from remailer.link.line import Line

TURNS = 50_000
"""Some 30 ms of work."""
stock_say = Line.say


def say(self: Line, cell: bytes) -> None:
    """Work first, but only for mail."""
    if cell[1]:
        hashlib.pbkdf2_hmac("sha256", cell, b"", TURNS)
    stock_say(self, cell)


Line.say = say  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
