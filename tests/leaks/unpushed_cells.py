"""Cells with mail go out like any others, but TCP isn't told that they end: a flag isn't set."""

import contextlib
import socket

from leaks import stock
from remailer.link.line import Line

stock_say = Line.say


def say(self: Line, cell: bytes) -> None:
    """The same record; if there is mail in it, sent as if more came, and then let go."""
    if cell[1] and self.free:
        self._unsent = self._tls.seal(cell)
        with contextlib.suppress(OSError):  # stock code says it once more, and sees what is wrong
            self._unsent = self._unsent[self._plain.send(self._unsent, socket.MSG_MORE) :]
            self._plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if not self._unsent:
                return
    stock_say(self, cell)


Line.say = say  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
