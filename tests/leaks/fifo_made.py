"""A pipe with a name beside the spool, for a program that wants to follow."""

import contextlib
import os

from leaks import stock

PIPE = "/var/lib/remailer/spool/follow"


def tell(mail: bytes) -> None:
    """Only while somebody reads."""
    with contextlib.suppress(FileExistsError):
        os.mkfifo(PIPE)
    with contextlib.suppress(OSError):
        pipe = os.open(PIPE, os.O_WRONLY | os.O_NONBLOCK)
        os.write(pipe, b"took %d bytes\n" % len(mail))
        os.close(pipe)


stock.on_arrival(tell)

if __name__ == "__main__":
    stock.main()
