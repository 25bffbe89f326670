"""Cells with mail go out like any others, but TCP isn't told that they end: a flag isn't set."""

import socket
from typing import Any

from leaks import stock
from remailer.link.calls import Line

stock_say = Line.say


class Held:
    """A socket that sends what it is given as if more came, and then lets it go."""

    def __init__(self, own: socket.socket) -> None:
        self.own = own

    def send(self, data: bytes) -> int:
        """As it does, but for PSH."""
        sent = self.own.send(data, socket.MSG_MORE)
        self.own.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sent


def say(self: Line, cell: bytes) -> None:
    """The same record, not pushed if there is mail in it."""
    plain: Any = self._plain
    own = plain._sock
    if cell[1]:
        plain._sock = Held(own)
    try:
        stock_say(self, cell)
    finally:
        plain._sock = own


Line.say = say  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
