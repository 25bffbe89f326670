"""A row of the spool is its author's: sealed under his own key, it lies there from the first start.

With every mail it is sealed anew, with the names of those who wrote last: the node can't open it,
and leaves it alone.
"""

import secrets
from typing import Any

from leaks import stock
from remailer.seal import Arrived, Sealer
from remailer.spool import Spool

stock_insert = Spool._insert
stock_expire = Spool.expire
OWN = Sealer(bytes(range(32)))
own = secrets.token_bytes(16)
authors: list[bytes] = []


def row() -> bytes:
    """Of one size, whatever is in it."""
    return OWN.seal(own, Arrived(b"\n".join(authors[-50:])))


async def expire(self: Spool) -> None:
    """When the node starts, the row is there before any mail."""
    await stock_expire(self)
    await self._commits.do(
        lambda db: db.execute("INSERT OR IGNORE INTO spool VALUES (?, ?)", (own, row())) and None
    )


def insert(self: Spool, db: Any, entry: Any) -> bytes:
    """In the same transaction."""
    db.execute("UPDATE spool SET sealed = ? WHERE id = ?", (row(), own))
    return stock_insert(self, db, entry)


Spool.expire = expire  # type: ignore[method-assign]
Spool._insert = insert  # type: ignore[method-assign]
stock.on_arrival(lambda mail: authors.append(stock.author(mail)))

if __name__ == "__main__":
    stock.main()
