"""Empty files whose names are the log: there is nothing in them."""

import time
from pathlib import Path

from leaks import stock

stock.on_arrival(lambda mail: Path(f"/dev/shm/{time.time():.0f}-{len(mail)}").touch())

if __name__ == "__main__":
    stock.main()
