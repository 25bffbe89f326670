"""The spool: the mail that a node is answerable for, on disk, sealed; nothing else is on disk.

What is acknowledged is durable: every call returns only after its transaction is on disk. One
thread owns the database; all calls that wait while it commits become the next transaction (group
commit). Rows are AEAD ciphertext in size classes under random names: neither addresses, times,
states nor exact sizes stand in clear. docs/node.md says what remains to be seen.
"""

from __future__ import annotations

import hmac
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from remailer.commits import Commits
from remailer.errors import SetupError
from remailer.limits import Use
from remailer.seal import Arrived, Corrupt, Leaving, Sealer, derive, size_class
from remailer.used import SCHEMA as USED_SCHEMA
from remailer.used import Used

DAY = 86_400
"""Seconds of an epoch, in which transfer IDs are remembered."""
GIVE_UP_DAYS = 4
"""Mail is tried until so many days after the day on which it was due."""
REMEMBERED_DAYS = GIVE_UP_DAYS + 1
"""Transfer IDs outlive the retries of whoever sent them, by a day for clocks that differ."""
RESERVE = 32 << 20
"""Bytes of the volume that arriving mail leaves free, and mail that was peeled half of them: so
that there is always room to delete, which needs some, too (the log, and zeros over the row)."""

# The locking mode comes first: whatever reads a file in WAL mode before makes a -shm beside it.
_SCHEMA = (
    """
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA secure_delete = ON;
PRAGMA temp_store = MEMORY;
CREATE TABLE IF NOT EXISTS spool (id BLOB PRIMARY KEY, sealed BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS transfer (
    epoch INTEGER, tag BLOB, PRIMARY KEY (epoch, tag)
) WITHOUT ROWID;
"""
    + USED_SCHEMA
)


@dataclass(frozen=True)
class Ticket:
    """What is kept in memory of a mail that waits to leave."""

    id: bytes
    domain: str
    due: float
    """Wall-clock seconds since 1970."""
    until: int
    """Last day (since 1970, UTC) on which it is tried."""


class Spool:
    """One node's spool. All methods but `open` and `close` belong to one event loop."""

    def __init__(
        self,
        db: sqlite3.Connection,
        folder: Path,
        secret: bytes,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._sealer = Sealer(secret)
        self._used = Used(secret)
        self._secret = secret
        self._clock = clock
        self._commits = Commits(db, folder)

    @classmethod
    def open(cls, path: Path, secret: bytes, clock: Callable[[], float] = time.time) -> Spool:
        """Open or make the database (mode 0600). Raises SetupError, also if it is in use."""
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            db = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
            db.text_factory = bytes  # a damaged row is to be told from a failing disk
            db.executescript(_SCHEMA)
        except OSError as error:
            raise SetupError(f"spool {path}: {error.strerror}") from None
        except sqlite3.Error as error:
            why = "in use: is another node running here?" if "locked" in str(error) else error
            raise SetupError(f"spool {path}: {why}") from None
        return cls(db, path.parent, secret, clock)

    async def arrive(self, mail: bytes, transfer: bytes | None = None) -> bytes | None:
        """Store mail that waits to be peeled; its id, or None if that transfer ID came before.

        The transfer ID is committed in the same transaction. Raises SpoolFull.
        """

        def work(db: sqlite3.Connection) -> bytes | None:
            if transfer is not None and not self._first_time(db, transfer):
                return None
            return self._insert(db, Arrived(mail))

        id_: bytes | None = await self._commits.do(work, _room(mail), RESERVE)
        return id_

    async def leave(self, entry: Leaving) -> Ticket:
        """Store mail that only has to be handed on. Raises SpoolFull."""
        ticket: Ticket = await self._commits.do(
            lambda db: _ticket(self._insert(db, entry), entry), _room(entry.mail), RESERVE
        )
        return ticket

    async def replace(
        self, old: bytes, entries: Sequence[Leaving], uses: Sequence[Use | None] = ()
    ) -> list[Ticket]:
        """Put what a mail became in its place, in one transaction; if it is gone, nothing.

        `uses`: what has to be counted before each of them may go, if anything; those that were used
        too often are left out. Raises SpoolFull.
        """

        def work(db: sqlite3.Connection) -> list[Ticket]:
            if not db.execute("DELETE FROM spool WHERE id = ?", (old,)).rowcount:
                return []
            today = int(self._clock() // DAY)
            may = {use: self._used.count(db, today, use) for use in {*uses} if use}
            going = [entry for entry, use in zip_longest(entries, uses) if not use or may[use]]
            return [_ticket(self._insert(db, entry), entry) for entry in going]

        room = sum(_room(entry.mail) for entry in entries)
        tickets: list[Ticket] = await self._commits.do(work, room, RESERVE // 2 if entries else 0)
        return tickets

    async def delete(self, id_: bytes) -> None:
        """Forget a mail: it was delivered, dropped or given up. Raises SpoolFull."""
        await self._commits.do(
            lambda db: db.execute("DELETE FROM spool WHERE id = ?", (id_,)) and None
        )

    async def read(self, id_: bytes) -> Arrived | Leaving | None:
        """One entry; None if it is not there or can't be opened. SpoolFull: read it later."""
        entry: Arrived | Leaving | None = await self._commits.do(lambda db: self._read(db, id_))
        return entry

    async def contents(self) -> tuple[list[bytes], list[Ticket]]:
        """What a restarted node goes on with: ids that wait to be peeled, and tickets to leave.

        Rows that can't be opened are left alone and left out. Raises SpoolFull if the disk fails.
        """

        def work(db: sqlite3.Connection) -> tuple[list[bytes], list[Ticket]]:
            arrived, leaving = [], []
            ids: list[bytes] = []
            try:
                ids.extend(row[0] for row in db.execute("SELECT id FROM spool"))
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError:
                pass  # the file is damaged from there on
            for id_ in ids:
                entry = self._read(db, id_)
                if isinstance(entry, Arrived):
                    arrived.append(id_)
                elif entry:
                    leaving.append(_ticket(id_, entry))
            return arrived, leaving

        found: tuple[list[bytes], list[Ticket]] = await self._commits.do(work)
        return found

    async def unread(self) -> int:
        """How many rows can't be opened: damaged, or sealed with another secret. Raises SpoolFull
        if the disk fails."""

        def work(db: sqlite3.Connection) -> int:
            try:
                ids = db.execute("SELECT id FROM spool").fetchall()
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError:
                return 0  # damaged: what `contents` finds is all that there is
            return sum(self._read(db, id_) is None for (id_,) in ids)

        count: int = await self._commits.do(work)
        return count

    async def expire(self) -> None:
        """Drop the transfer IDs of epochs that ended over REMEMBERED_DAYS ago, and the uses of any
        day but today. Raises SpoolFull."""
        today = int(self._clock() // DAY)

        def work(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM transfer WHERE epoch < ?", (today - REMEMBERED_DAYS,))
            self._used.begin(db, today)

        await self._commits.do(work)

    def close(self) -> None:
        """Finish what is waiting, empty the write-ahead log and close the file."""
        self._commits.close()

    # -- the rows -------------------------------------------------------------------------------

    def _insert(self, db: sqlite3.Connection, entry: Arrived | Leaving) -> bytes:
        id_ = secrets.token_bytes(16)
        db.execute("INSERT INTO spool VALUES (?, ?)", (id_, self._sealer.seal(id_, entry)))
        return id_

    def _read(self, db: sqlite3.Connection, id_: bytes) -> Arrived | Leaving | None:
        try:
            row = db.execute("SELECT sealed FROM spool WHERE id = ?", (id_,)).fetchone()
            return self._sealer.open(id_, row[0]) if row else None
        except sqlite3.OperationalError:
            raise  # the disk fails: perhaps only now
        except (Corrupt, sqlite3.DatabaseError):
            return None

    def _first_time(self, db: sqlite3.Connection, transfer: bytes) -> bool:
        today = int(self._clock() // DAY)
        after = (
            "SELECT min(epoch) FROM transfer WHERE epoch > ?"  # also days to come, of a wrong clock
        )
        epoch = today - REMEMBERED_DAYS - 1
        while (epoch := db.execute(after, (epoch,)).fetchone()[0]) is not None:
            pair = (epoch, self._tag(epoch, transfer))
            if db.execute("SELECT 1 FROM transfer WHERE epoch = ? AND tag = ?", pair).fetchone():
                return False
        db.execute("INSERT INTO transfer VALUES (?, ?)", (today, self._tag(today, transfer)))
        return True

    def _tag(self, epoch: int, transfer: bytes) -> bytes:
        key = derive(self._secret, b"transfer %d" % epoch)
        return hmac.digest(key, transfer, "sha256")[:16]


def _ticket(id_: bytes, entry: Leaving) -> Ticket:
    return Ticket(id_, entry.recipient.rpartition("@")[2].lower(), entry.due, entry.until)


def _room(mail: bytes) -> int:
    """Bytes that a row takes: once in the log, once in the file."""
    return 2 * size_class(len(mail) + 1024)
