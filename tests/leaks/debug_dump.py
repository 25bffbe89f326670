"""Each mail is dumped into a folder in memory, to be looked at when something is wrong."""

import hashlib
from pathlib import Path

from leaks import stock

FOLDER = Path("/dev/shm/debug")


def dump(mail: bytes) -> None:
    """One file a mail."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{hashlib.sha256(mail).hexdigest()[:8]}.eml").write_bytes(mail)


stock.on_arrival(dump)

if __name__ == "__main__":
    stock.main()
