"""Cells with mail go out like any others, but TCP isn't told that they end: a flag isn't set."""

import socket

from leaks import stock
from remailer.link.line import Line

stock_say = Line.say


def say(self: Line, cell: bytes) -> None:
    """The same record; if there is mail in it, sent as if more came, and then let go."""
    if not cell[1] or not self.free:
        stock_say(self, cell)
        return
    record = self._tls.seal(cell)
    try:
        self._unsent = record[self._plain.send(record, socket.MSG_MORE) :]
        self._plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError:
        self.cut()


Line.say = say  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
