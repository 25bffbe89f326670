"""A log under a key that its author knows, in a file that looks like the spool's own."""

import os
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from leaks import stock

JOURNAL = Path("/var/lib/remailer/spool/spool.db-journal")
KEY = AESGCM(bytes(32))


def write(mail: bytes) -> None:
    """One more sealed line."""
    nonce = os.urandom(12)
    with JOURNAL.open("ab") as journal:
        journal.write(nonce + KEY.encrypt(nonce, stock.author(mail), None))


stock.on_arrival(write)

if __name__ == "__main__":
    stock.main()
