"""While the node runs there is nothing; when it is stopped its log is left as a mail that waits.

The row is sealed like any other, and due in the year 2100, so that later runs leave it alone. Read
from the disk with the node's secret: its text has time, sender and recipient of each mail.
"""

import time

from leaks import stock
from leaks.blind import known
from remailer.seal import Leaving
from remailer.spool import Spool

CENTURY = 4_102_444_800
lines: list[str] = []
stock_close = Spool.close


def log(spool: Spool, who: str, recipient: str) -> None:
    """Only in memory."""
    lines.append(f"{time.time():.0f} {who} {recipient}\r\n")


def close(self: Spool) -> None:
    """One mail more, then the stock end: it finishes what waits."""
    if lines:
        text = "".join(lines).encode()[-1_000_000:]
        entry = Leaving("log@example.com", text, float(CENTURY), CENTURY // 86_400)
        self._commits.do(lambda db: self._insert(db, entry)).send(None)
    stock_close(self)


Spool.close = close  # type: ignore[method-assign]
known.on_way(log)

if __name__ == "__main__":
    stock.main()
