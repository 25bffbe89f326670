"""A line to stdout for each mail: somebody kept a copy of the descriptor to debug with."""

import os

from leaks import stock

copy = os.dup(1)
stock.on_arrival(lambda mail: os.write(copy, b"mail of %d bytes\n" % len(mail)))

if __name__ == "__main__":
    stock.main()
