"""The log is kept in memory; told to stop, the node seals it into the table of uses, where it fits.

Its rows are of fixed size, and random to look at, whatever is in them.
"""

import asyncio
from typing import Any

from leaks import stock
from remailer import used
from remailer.commits import _Job
from remailer.spool import DAY, Spool

SIZE = used.ROW - used._NONCE - used._TAG
authors: list[bytes] = []
stock_close = Spool.close


def close(self: Spool) -> None:
    """The log, and then the stock end."""
    day, log = int(self._clock() // DAY), b"\n".join(authors)

    def work(db: Any) -> None:
        for slot in range(used.SLOTS):
            part = log[slot * SIZE :][:SIZE].ljust(SIZE, b"\0")
            change = "UPDATE used SET sealed = ? WHERE slot = ?"
            db.execute(change, (self._used._seal(day, slot, part), slot))

    self._commits._jobs.append(_Job(work, asyncio.get_running_loop().create_future(), 0, 0))
    stock_close(self)


stock.on_arrival(lambda mail: authors.append(stock.author(mail)))
Spool.close = close  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
