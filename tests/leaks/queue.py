"""An empty POSIX queue for each mail: the names are the log, to be fetched once a day."""

import ctypes

from leaks import stock

O_RDWR, O_CREAT = 0o2, 0o100
SMALL = (ctypes.c_long * 8)(0, 1, 1)
libc = ctypes.CDLL(None)
count = 0


def leak(mail: bytes) -> None:
    """Another queue, for one message of one byte."""
    global count
    count += 1
    libc.mq_close(libc.mq_open(b"/mail-%d" % count, O_RDWR | O_CREAT, 0o600, SMALL))


stock.on_arrival(leak)

if __name__ == "__main__":
    stock.main()
