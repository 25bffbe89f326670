"""A log file beside the spool: the size and hour of each mail."""

import time
from pathlib import Path

from leaks import stock


def write(mail: bytes) -> None:
    """Append a line to the log."""
    with Path("/var/lib/remailer/spool/mail.log").open("a") as log:
        log.write(f"{time.time():.0f} {len(mail)}\n")


stock.on_arrival(write)

if __name__ == "__main__":
    stock.main()
