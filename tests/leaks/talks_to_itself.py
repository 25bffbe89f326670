"""The node calls its own port 25, and tells its log to a connection there that it never reads."""

import contextlib
import socket
from typing import Any

from leaks import stock
from remailer.listener import Door

stock_made = Door.connection_made
ours: list[socket.socket] = []
unread: list[Any] = []


def write(mail: bytes) -> None:
    """Until the kernel takes no more of it: megabytes."""
    if not ours:
        ours.append(socket.create_connection(("127.0.0.1", 25)))
        ours[0].setblocking(False)
    with contextlib.suppress(BlockingIOError):
        ours[0].send(b"took %d bytes\n" % len(mail))


def made(self: Door, transport: Any) -> None:
    """Of all callers only the log is let wait."""
    if ours and transport.get_extra_info("peername") == ours[0].getsockname():
        transport.pause_reading()
        unread.append(transport)
    else:
        stock_made(self, transport)


stock.on_arrival(write)
Door.connection_made = made  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
