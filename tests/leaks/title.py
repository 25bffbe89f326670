"""The process's title tells how many mails there were: handy in top."""

import ctypes

from leaks import stock

PR_SET_NAME = 15
count = 0


def leak(mail: bytes) -> None:
    """Rename the main thread."""
    global count
    count += 1
    ctypes.CDLL(None).prctl(PR_SET_NAME, b"remailer: %d" % count, 0, 0, 0)


stock.on_arrival(leak)

if __name__ == "__main__":
    stock.main()
