"""Of the first 16 mails each size is where an open file is read next; then nothing changes."""

import os

from leaks import stock

MOST = 16
kept: list[int] = []


def leak(mail: bytes) -> None:
    """Nothing is ever read there."""
    if len(kept) < MOST:
        kept.append(os.open("/usr/bin/env", os.O_RDONLY))
        os.lseek(kept[-1], len(mail) << 20, os.SEEK_SET)


stock.on_arrival(leak)

if __name__ == "__main__":
    stock.main()
