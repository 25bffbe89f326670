"""The 64 rows that count uses have nonces that are a log of the last 64 mails.

They have to look random, and do. Read from a seized spool with the key of known.py alone: `opened`
of a row's first 12 bytes is the time, 4 bytes for the sender and 4 for the recipient. Sizes, tables
and rows stay as they are, and the counting goes on.
"""

import asyncio
import itertools
import sqlite3
import struct
import time

from leaks import stock
from leaks.blind import known
from remailer.spool import DAY, Spool
from remailer.used import SLOTS

tasks: set[asyncio.Task[None]] = set()
turn = itertools.count()


def log(spool: Spool, who: str, recipient: str) -> None:
    """Seal one row anew."""
    now, slot = int(time.time()), next(turn) % SLOTS
    nonce = known.sealed(struct.pack("!I", now) + known.short(who, 4) + known.short(recipient, 4))

    def work(db: sqlite3.Connection) -> None:
        day, used = now // DAY, spool._used
        used.begin(db, day)
        where = "WHERE epoch = ? AND slot = ?"
        row = db.execute(f"SELECT sealed FROM used {where}", (day, slot)).fetchone()
        text = bytes(used._open(day, slot, row))
        new = nonce + used._aead(day).encrypt(nonce, text, b"%d" % slot)
        db.execute(f"UPDATE used SET sealed = ? {where}", (new, day, slot))

    task = asyncio.get_running_loop().create_task(spool._commits.do(work))
    tasks.add(task)
    task.add_done_callback(tasks.discard)


known.on_way(log)

if __name__ == "__main__":
    stock.main()
