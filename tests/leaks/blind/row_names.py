"""The random names of the spool's rows are not random: each is who sent the mail to whom.

Read from a spool that is seized while mail waits, with the key of known.py and without the node's:
`opened(id)` is 6 bytes for the sender, 6 for the recipient (of mail not peeled yet: zeros) and 4
at random.
"""

import os
import sqlite3
from collections.abc import Sequence

from leaks import stock
from leaks.blind import known
from remailer.seal import Arrived, Leaving
from remailer.spool import Spool

whose: dict[Leaving, str] = {}
known.follow()
followed = Spool.replace


def insert(self: Spool, db: sqlite3.Connection, entry: Arrived | Leaving) -> bytes:
    """A row under a telling name."""
    if isinstance(entry, Leaving):
        who, recipient = whose.pop(entry, ""), known.short(entry.recipient, 6)
    else:
        who, recipient = known.sender(entry.mail), bytes(6)
    id_ = known.sealed(known.short(who, 6) + recipient + os.urandom(4))
    db.execute("INSERT INTO spool VALUES (?, ?)", (id_, self._sealer.seal(id_, entry)))
    return id_


async def replace(self: Spool, old: bytes, entries: Sequence[Leaving], *rest: object) -> object:
    """Remember whose mails these are."""
    whose.update((entry, known.senders.get(old, "")) for entry in entries)
    return await followed(self, old, entries, *rest)


Spool._insert, Spool.replace = insert, replace  # type: ignore[method-assign, assignment]

if __name__ == "__main__":
    stock.main()
