"""Cells with mail are given to the kernel in two pieces: who reads packet lengths sees which."""

from leaks import stock
from remailer.link.calls import Line

PIECE = 4096

stock_say = Line.say


def say(self: Line, cell: bytes) -> None:
    """The same record, in two segments if there is mail in it."""
    plain, write = self._plain, self._plain.write

    def halves(data: bytes) -> None:
        write(data[:PIECE])
        write(data[PIECE:])

    if cell[1]:
        plain.write = halves  # type: ignore[method-assign,assignment]
    try:
        stock_say(self, cell)
    finally:
        plain.write = write  # type: ignore[method-assign]


Line.say = say  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
