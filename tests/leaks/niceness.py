"""The node makes itself nicer with every few mails: it has had its share."""

import os

from leaks import stock

count = 0


def leak(mail: bytes) -> None:
    """One step every five mails."""
    global count
    count += 1
    if count % 5 == 0:
        os.nice(1)


stock.on_arrival(leak)

if __name__ == "__main__":
    stock.main()
