"""Numbers for the operator's page: a small database in memory, mails and bytes a minute."""

import sqlite3
import time

from leaks import stock


def count(mail: bytes) -> None:
    """One more in this minute."""
    db = sqlite3.connect("/dev/shm/stats.db")
    with db:
        db.execute("CREATE TABLE IF NOT EXISTS mails (minute INTEGER, bytes INTEGER)")
        db.execute("INSERT INTO mails VALUES (?, ?)", (time.time() // 60, len(mail)))
    db.close()


stock.on_arrival(count)

if __name__ == "__main__":
    stock.main()
