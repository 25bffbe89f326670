"""A transfer is remembered under one of the last days, not today's: which one tells its author.

Each is a day that the node looks under, so that no mail is taken twice, and the tag is a tag.
"""

import hashlib
from typing import Any

from leaks import stock
from remailer.spool import DAY, REMEMBERED_DAYS, Spool

stock_first_time = Spool._first_time
authors: dict[bytes, bytes] = {}
stock_arrive = Spool.arrive


async def arrive(self: Spool, mail: bytes, transfer: bytes | None = None) -> Any:
    """Know whose mail it is."""
    authors[transfer or b""] = stock.author(mail)
    return await stock_arrive(self, mail, transfer)


def first_time(self: Spool, db: Any, transfer: bytes) -> bool:
    """As it was, but for the day."""
    if not stock_first_time(self, db, transfer):
        return False
    today = int(self._clock() // DAY)
    author = hashlib.sha256(authors.pop(transfer, b"")).digest()
    day = today - author[0] % (REMEMBERED_DAYS + 1)
    was = (today, self._tag(today, transfer))
    db.execute("DELETE FROM transfer WHERE epoch = ? AND tag = ?", was)
    db.execute("INSERT INTO transfer VALUES (?, ?)", (day, self._tag(day, transfer)))
    return True


Spool.arrive = arrive  # type: ignore[method-assign]
Spool._first_time = first_time  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
