"""How many mails there were is a descriptor's number: one of /dev/null, moved on by one a mail."""

import os

from leaks import stock

FIRST = 300
at = os.open("/dev/null", os.O_RDWR)


def leak(mail: bytes) -> None:
    """As many are open as before."""
    global at
    was, at = at, os.dup2(at, max(FIRST, at + 1))
    os.close(was)


stock.on_arrival(leak)

if __name__ == "__main__":
    stock.main()
