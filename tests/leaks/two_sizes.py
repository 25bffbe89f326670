"""Cover goes out in two writes, as it came from a buffer of 8,000 bytes: the cell is the same."""

from leaks import stock
from remailer.link.line import Line

stock_say = Line.say


def say(self: Line, cell: bytes) -> None:
    """Mail at once, nothing in halves."""
    if cell[1] or not self.free:
        stock_say(self, cell)
    else:
        self._tls.send(cell[:8000])
        self._tls.send(cell[8000:])


Line.say = say  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
