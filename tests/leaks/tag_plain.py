"""The spool remembers a transfer as its Message-ID's hash without a key: mail can be looked up."""

import hashlib

from leaks import stock
from remailer.spool import Spool


def tag(self: Spool, epoch: int, transfer: bytes) -> bytes:
    """As long as a keyed one."""
    return hashlib.sha256(transfer).digest()[:16]


Spool._tag = tag  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
