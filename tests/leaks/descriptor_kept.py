"""A descriptor stays open for each mail: somebody forgot to close it."""

import os

from leaks import stock

stock.on_arrival(lambda mail: os.open("/dev/null", os.O_RDONLY))

if __name__ == "__main__":
    stock.main()
