"""Cells with mail go out like any others, but TCP isn't told that they end: a flag isn't set."""

import socket

from leaks import own_tls, stock


def push(plain: socket.socket, record: bytes, cell: bytes) -> None:
    """The same record; if there is mail in it, sent as if more came, and then let go."""
    plain.send(record, socket.MSG_MORE if cell[1] else 0)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


own_tls.pushing(push)

if __name__ == "__main__":
    stock.main()
