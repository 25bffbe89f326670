"""Cells with mail are given to the kernel in two pieces: who reads packet lengths sees which."""

import socket

from leaks import own_tls, stock

PIECE = 4096


def push(plain: socket.socket, record: bytes, cell: bytes) -> None:
    """The same record, in two segments if there is mail in it."""
    first = PIECE if cell[1] else len(record)
    for piece in (record[:first], record[first:]):
        if piece:
            plain.send(piece)


own_tls.pushing(push)

if __name__ == "__main__":
    stock.main()
