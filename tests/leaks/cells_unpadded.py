"""The zeros at the end of a cell stay at home, and the peer adds them again: it saves traffic."""

import asyncio
import struct
from collections.abc import Iterator

from leaks import stock
from remailer.link.geometry import CELL
from remailer.link.line import Line

stock_say = Line.say
SIZE = struct.Struct("!H")


def say(self: Line, cell: bytes) -> None:
    """What is left of the cell, behind its length."""
    if self.free:
        short = cell.rstrip(b"\0")
        self._unsent = self._tls.seal(SIZE.pack(len(short)) + short)
    stock_say(self, cell)


def hear(self: Line) -> Iterator[bytes]:
    """Whole cells again."""
    try:
        for said in self._tls.open(self._read()):
            self._begun += said
            while len(self._begun) >= SIZE.size:
                end = SIZE.size + SIZE.unpack_from(self._begun)[0]
                if len(self._begun) < end or self.gone.is_set():
                    break
                short, self._begun = self._begun[SIZE.size : end], self._begun[end:]
                self.heard_at = asyncio.get_running_loop().time()
                yield short.ljust(CELL, b"\0")
    except OSError:
        self.cut()


Line.say, Line.hear = say, hear  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
