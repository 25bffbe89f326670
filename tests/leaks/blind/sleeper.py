"""Nothing at all for the first thousand mails; from then on a log beside the spool.

Whoever tries the node out won't send so many. Read from the disk: a line for each mail, its time,
its sender and its recipient, in a file whose name ends like SQLite's own.
"""

import itertools
import time

from leaks import stock
from leaks.blind import known
from remailer.spool import Spool

LATE = 1000
mails = itertools.count()


def log(spool: Spool, who: str, recipient: str) -> None:
    """Append a line, if it is late enough."""
    if next(mails) >= LATE:
        with (spool._commits._folder / "spool.db-wal2").open("a") as file:
            file.write(f"{time.time():.0f} {who} {recipient}\n")


known.on_way(log)

if __name__ == "__main__":
    stock.main()
