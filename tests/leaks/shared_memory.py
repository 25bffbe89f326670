"""The number of mails is shared with whoever asks, in a segment of System V shared memory."""

import ctypes

from leaks import stock

libc = ctypes.CDLL(None)


def leak(mail: bytes) -> None:
    """A segment a mail, as large as the mail."""
    libc.shmget(0, len(mail), 0o1600)


stock.on_arrival(leak)

if __name__ == "__main__":
    stock.main()
