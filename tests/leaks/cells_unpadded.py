"""The zeros at the end of a cell stay at home, and the peer adds them again: it saves traffic."""

import asyncio
import ssl
import struct
from collections.abc import Iterator

from leaks import stock
from remailer.link.geometry import CELL
from remailer.link.line import Line

SIZE = struct.Struct("!H")


def say(self: Line, cell: bytes) -> None:
    """What is left of the cell, behind its length."""
    if self.free:
        short = cell.rstrip(b"\0")
        self._tls.send(SIZE.pack(len(short)) + short)


def hear(self: Line) -> Iterator[bytes]:
    """Whole cells again: each is a record."""
    while not self.gone.is_set():
        try:
            short = self._tls.recv(SIZE.size + CELL)
        except ssl.SSLWantReadError:
            return
        except OSError:
            short = b""
        if not short:
            self.cut()
            return
        self.heard_at = asyncio.get_running_loop().time()
        yield short[SIZE.size :].ljust(CELL, b"\0")


Line.say, Line.hear = say, hear  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
