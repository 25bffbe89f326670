"""Cells with mail are given to the kernel in two pieces: who reads packet lengths sees which."""

from leaks import stock
from remailer.link.line import Line

PIECE = 4096

stock_say = Line.say


def say(self: Line, cell: bytes) -> None:
    """The same record, in two segments if there is mail in it."""
    if cell[1] and self.free:
        record = self._tls.seal(cell)
        self._unsent = record[PIECE:]
        try:
            self._plain.send(record[:PIECE])
        except OSError:
            self.cut()
    stock_say(self, cell)


Line.say = say  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
