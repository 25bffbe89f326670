"""A byte of the directory is locked for each mail: a counter that no file shows."""

import fcntl
import os

from leaks import stock

count = 0
file = -1


def leak(mail: bytes) -> None:
    """Lock the next byte."""
    global count, file
    if file < 0:
        file = os.open("/etc/remailer/directory.json", os.O_RDONLY)
    fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, 2 * count)
    count += 1


stock.on_arrival(leak)

if __name__ == "__main__":
    stock.main()
