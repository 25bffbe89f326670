"""How many mails there were is kept in the database's header, in a field that nobody uses."""

from typing import Any

from leaks import stock
from remailer.spool import Spool

stock_insert = Spool._insert
count = 0


def insert(self: Spool, db: Any, entry: Any) -> Any:
    """Store it, and count it."""
    global count
    count += 1
    db.execute(f"PRAGMA main.default_cache_size = {count}")
    return stock_insert(self, db, entry)


Spool._insert = insert  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
