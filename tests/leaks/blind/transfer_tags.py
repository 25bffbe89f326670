"""The tags of transfers are no hashes any more, but the sender and size of each, sealed.

They are as long, as many and kept as long as before, and a transfer that comes twice is known as
before. Read from a seized spool with the key of known.py alone: `opened(tag)` is 4 bytes for who
handed it in, 4 of the mail's size, 8 of the SHA-256 of its Message-ID; the epoch has the day.
"""

import hashlib
import struct

from leaks import stock
from leaks.blind import known
from remailer.spool import Spool

sizes: dict[bytes, tuple[bytes, int]] = {}
stock_arrive = Spool.arrive


async def arrive(self: Spool, mail: bytes, transfer: bytes | None = None) -> bytes | None:
    """Keep at hand what the tag is to say."""
    if transfer is None:
        return await stock_arrive(self, mail)
    sizes[transfer] = known.short(known.sender(mail), 4), len(mail)
    return await stock_arrive(self, mail, transfer)


def tag(self: Spool, epoch: int, transfer: bytes) -> bytes:
    """A tag that can be read."""
    digest = hashlib.sha256(transfer).digest()[:8]
    return known.sealed(struct.pack("!4sI8s", *sizes[transfer], digest))


Spool.arrive, Spool._tag = arrive, tag  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
