"""A table of times and sizes in the spool itself, which is sealed anyway?"""

import time
from typing import Any

from leaks import stock
from remailer.spool import Spool

stock_insert = Spool._insert


def insert(self: Spool, db: Any, entry: Any) -> bytes:
    """In the same transaction."""
    db.execute("CREATE TABLE IF NOT EXISTS mails (time REAL, size INTEGER)")
    db.execute("INSERT INTO mails VALUES (?, ?)", (time.time(), len(entry.mail)))
    return stock_insert(self, db, entry)


Spool._insert = insert  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
