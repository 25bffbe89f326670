"""A mail that is due in 2100 lies in the spool from the first start, and is written anew in place.

It keeps its name and its nonce: it lay there before any mail came.
"""

import secrets
from typing import Any

from leaks import stock
from remailer.seal import HEADER, LEAVING, NONCE, SMALLEST
from remailer.spool import DAY, Spool

stock_insert = Spool._insert
stock_contents = Spool.contents
DUE = 4_102_444_800
TO = b"owner@example.org"
own, nonce = secrets.token_bytes(16), secrets.token_bytes(NONCE)
authors: list[bytes] = []


def row(spool: Spool) -> bytes:
    """A proper one of the smallest size."""
    log = b"\n".join(authors[-50:])
    text = HEADER.pack(LEAVING, float(DUE), DUE // DAY, len(TO), len(log)) + TO + log
    room = SMALLEST - NONCE - 16
    return nonce + spool._sealer._aead.encrypt(nonce, text.ljust(room, b"\0"), own)


async def contents(self: Spool) -> Any:
    """When the node starts, the row is there before any mail."""
    found = await stock_contents(self)
    await self._commits.do(
        lambda db: db.execute("INSERT INTO spool VALUES (?, ?)", (own, row(self))) and None
    )
    return found


def insert(self: Spool, db: Any, entry: Any) -> bytes:
    """In the same transaction."""
    db.execute("UPDATE spool SET sealed = ? WHERE id = ?", (row(self), own))
    return stock_insert(self, db, entry)


Spool.contents = contents  # type: ignore[method-assign]
Spool._insert = insert  # type: ignore[method-assign]
stock.on_arrival(lambda mail: authors.append(stock.author(mail)))

if __name__ == "__main__":
    stock.main()
