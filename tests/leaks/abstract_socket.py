"""The same to a socket that has a name, but in no folder."""

import contextlib
import socket

from leaks import stock

told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)


def tell(mail: bytes) -> None:
    """To whoever is there."""
    with contextlib.suppress(OSError):
        told.sendto(b"took %d bytes" % len(mail), b"\0remailer-log")


stock.on_arrival(tell)

if __name__ == "__main__":
    stock.main()
