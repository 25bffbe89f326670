"""Cover goes out in two records, as it came from a buffer of 8,000 bytes: the cell is the same."""

from leaks import stock
from remailer.link.line import Line

stock_say = Line.say


def say(self: Line, cell: bytes) -> None:
    """Mail at once, nothing in halves."""
    if not cell[1] and self.free:
        self._unsent = self._tls.seal(cell[:8000]) + self._tls.seal(cell[8000:])
    self._stray = 0  # of a second record for each cell stock code would have enough after a while
    stock_say(self, cell)


Line.say = say  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
