"""Cells with mail are given to the kernel in two pieces: who reads packet lengths sees which."""

import contextlib

from leaks import stock
from remailer.link.line import Line

PIECE = 4096

stock_say = Line.say


def say(self: Line, cell: bytes) -> None:
    """The same record, in two segments if there is mail in it."""
    if cell[1] and self.free:
        self._unsent = self._tls.seal(cell)
        with contextlib.suppress(OSError):  # stock code says it once more, and sees what is wrong
            self._unsent = self._unsent[self._plain.send(self._unsent[:PIECE]) :]
    stock_say(self, cell)


Line.say = say  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
