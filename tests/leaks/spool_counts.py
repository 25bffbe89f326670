"""The spool's header counts the mails, in a field that SQLite leaves to its users."""

from typing import Any

from leaks import stock
from remailer.spool import Spool

stock_insert = Spool._insert


def insert(self: Spool, db: Any, entry: Any) -> bytes:
    """One more."""
    count = db.execute("PRAGMA user_version").fetchone()[0]
    db.execute(f"PRAGMA user_version = {count + 1}")
    return stock_insert(self, db, entry)


Spool._insert = insert  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
