"""The zeros at the end of a cell stay at home, and the peer adds them again: it saves traffic."""

import struct

from leaks import stock
from remailer.link.calls import Line
from remailer.link.geometry import CELL

SIZE = struct.Struct("!H")


def say(self: Line, cell: bytes) -> None:
    """What is left of the cell, behind its length."""
    if self.free:
        short = cell.rstrip(b"\0")
        self.transport.write(SIZE.pack(len(short)) + short)


def received(self: Line, data: bytes) -> None:
    """Whole cells again."""
    self._heard += data
    while self._entered and len(self._heard) >= SIZE.size:
        end = SIZE.size + SIZE.unpack_from(self._heard)[0]
        if len(self._heard) < end or self._plain.is_closing():
            break
        cell = bytes(self._heard[SIZE.size : end]).ljust(CELL, b"\0")
        self._heard = self._heard[end:]
        self._house.heard(self, cell)


Line.say, Line.data_received = say, received  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
