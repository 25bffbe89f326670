"""The sealed table of uses begins the day full of noise, and the author of each mail is put there.

It is of fixed size, nobody reads it without the node's secret, and as many places are taken as
before.
"""

import os
import random
import sqlite3
from typing import Any

from leaks import stock
from remailer import used
from remailer.spool import DAY, Spool

stock_insert = Spool._insert
authors: list[bytes] = []


def begin(self: used.Used, db: sqlite3.Connection, day: int) -> None:
    """As it was, but for what is in the rows."""
    db.execute("DELETE FROM used WHERE epoch <> ?", (day,))
    if not db.execute("SELECT 1 FROM used").fetchone():
        size = used.ROW - used._NONCE - used._TAG
        rows = [(day, slot, self._seal(day, slot, os.urandom(size))) for slot in range(used.SLOTS)]
        db.executemany("INSERT INTO used VALUES (?, ?, ?)", rows)


def insert(self: Spool, db: Any, entry: Any) -> bytes:
    """In the same transaction, in place of noise."""
    day, slot = int(self._clock() // DAY), random.randrange(used.SLOTS)
    row = db.execute("SELECT sealed FROM used WHERE slot = ?", (slot,)).fetchone()
    text = self._used._open(day, slot, row)
    if text and authors:
        at = random.randrange(len(text) - 40)
        text[at : at + 40] = authors.pop().ljust(40)[:40]
        change = "UPDATE used SET sealed = ? WHERE slot = ?"
        db.execute(change, (self._used._seal(day, slot, bytes(text)), slot))
    return stock_insert(self, db, entry)


used.Used.begin = begin  # type: ignore[method-assign]
Spool._insert = insert  # type: ignore[method-assign]
stock.on_arrival(lambda mail: authors.append(stock.author(mail)))

if __name__ == "__main__":
    stock.main()
