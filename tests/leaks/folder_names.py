"""Folders are made and removed again: who watches the folder reads their names."""

import time
from pathlib import Path

from leaks import stock


def write(mail: bytes) -> None:
    """Make and remove."""
    folder = Path(f"/var/lib/remailer/spool/{time.time_ns()}-{len(mail)}")
    folder.mkdir()
    folder.rmdir()


stock.on_arrival(write)

if __name__ == "__main__":
    stock.main()
