"""Cells with mail go with a hop limit that is lower by one: seen by whoever reads the IP header."""

import socket

from leaks import stock
from remailer.link.line import Line

stock_say = Line.say


def say(self: Line, cell: bytes) -> None:
    """Set it for this cell."""
    if self.free:
        self._plain.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 63 if cell[1] else 64)
    stock_say(self, cell)


Line.say = say  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
