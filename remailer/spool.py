"""The spool: the mail that a node is answerable for, on disk, sealed; nothing else is on disk.

What is acknowledged is durable: every call returns only after its transaction is on disk. One
thread owns the database; all calls that wait while it commits become the next transaction (group
commit). Rows are AEAD ciphertext in size classes under random names: neither addresses, times,
states nor exact sizes stand in clear. docs/node.md says what remains to be seen.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import os
import random
import secrets
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remailer.errors import RemailerError, SetupError
from remailer.seal import Arrived, Corrupt, Leaving, Sealer, derive, size_class

DAY = 86_400
"""Seconds of an epoch, in which transfer IDs are remembered."""
GIVE_UP_DAYS = 4
"""Mail is tried until so many days after the day on which it was due."""
REMEMBERED_DAYS = GIVE_UP_DAYS + 1
"""Transfer IDs outlive the retries of whoever sent them, by a day for clocks that differ."""
RESERVE = 32 << 20
"""Bytes of the volume that arriving mail leaves free, and mail that was peeled half of them: so
that there is always room to delete, which needs some, too (the log, and zeros over the row)."""

_BATCH = 64
"""Most calls in one transaction."""
_IDLE = 0.2
"""Seconds without work after which the write-ahead log is emptied."""
_LONGEST = 5.0
"""Seconds after which it is emptied in the midst of work."""
_STEP = 1024
"""Pages (of 4 KiB) that are given back at a time."""

# The locking mode comes first: whatever reads a file in WAL mode before makes a -shm beside it.
_SCHEMA = """
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


class SpoolFull(RemailerError):
    """The disk can't take it, or fails; nothing was stored. SMTP: 452."""


@dataclass(frozen=True)
class Ticket:
    """What is kept in memory of a mail that waits to leave."""

    id: bytes
    domain: str
    due: float
    """Wall-clock seconds since 1970."""
    until: int
    """Last day (since 1970, UTC) on which it is tried."""


_Work = Callable[[sqlite3.Connection], Any]


@dataclass(frozen=True)
class _Job:
    work: _Work
    future: asyncio.Future[Any]
    room: int
    """Bytes that it may take of the volume."""
    reserve: int
    """Bytes that it must leave free there."""


class Spool:
    """One node's spool. All methods but `open` and `close` belong to one event loop."""

    def __init__(
        self,
        db: sqlite3.Connection,
        folder: Path,
        secret: bytes,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._db = db
        self._folder = folder
        self._sealer = Sealer(secret)
        self._secret = secret
        self._clock = clock
        self._shuffle = random.SystemRandom().shuffle
        self._jobs: deque[_Job] = deque()
        self._wake = threading.Condition()
        self._stopping = False
        self._dirty = True
        self._tidied = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)
        self._thread.start()

    @classmethod
    def open(cls, path: Path, secret: bytes, clock: Callable[[], float] = time.time) -> Spool:
        """Open or make the database (mode 0600). Raises SetupError, also if it is in use."""
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            db = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
            db.text_factory = bytes  # a damaged row is to be told from a failing disk
            db.executescript(_SCHEMA)
        except OSError as error:
            raise SetupError(f"spool {path}: {error.strerror}") from None
        except sqlite3.Error as error:
            raise SetupError(f"spool {path}: {error}") from None
        return cls(db, path.parent, secret, clock)

    async def arrive(self, mail: bytes, transfer: bytes | None = None) -> bytes | None:
        """Store mail that waits to be peeled; its id, or None if that transfer ID came before.

        The transfer ID is committed in the same transaction. Raises SpoolFull.
        """

        def work(db: sqlite3.Connection) -> bytes | None:
            if transfer is not None and not self._first_time(db, transfer):
                return None
            return self._insert(db, Arrived(mail))

        id_: bytes | None = await self._do(work, _room(mail), RESERVE)
        return id_

    async def replace(self, old: bytes, entries: Sequence[Leaving]) -> list[Ticket]:
        """Put what a mail became in its place, in one transaction; if it is gone, nothing.

        Raises SpoolFull.
        """

        def work(db: sqlite3.Connection) -> list[Ticket]:
            if not db.execute("DELETE FROM spool WHERE id = ?", (old,)).rowcount:
                return []
            return [_ticket(self._insert(db, entry), entry) for entry in entries]

        room = sum(_room(entry.mail) for entry in entries)
        tickets: list[Ticket] = await self._do(work, room, RESERVE // 2 if entries else 0)
        return tickets

    async def delete(self, id_: bytes) -> None:
        """Forget a mail: it was delivered, dropped or given up. Raises SpoolFull."""
        await self._do(lambda db: db.execute("DELETE FROM spool WHERE id = ?", (id_,)) and None)

    async def read(self, id_: bytes) -> Arrived | Leaving | None:
        """One entry; None if it is not there or can't be opened. SpoolFull: read it later."""
        entry: Arrived | Leaving | None = await self._do(lambda db: self._read(db, id_))
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

        found: tuple[list[bytes], list[Ticket]] = await self._do(work)
        return found

    async def expire(self) -> None:
        """Drop the transfer IDs of epochs that ended over REMEMBERED_DAYS ago. Raises SpoolFull."""
        oldest = int(self._clock() // DAY) - REMEMBERED_DAYS
        await self._do(
            lambda db: db.execute("DELETE FROM transfer WHERE epoch < ?", (oldest,)) and None
        )

    def close(self) -> None:
        """Finish what is waiting, empty the write-ahead log and close the file."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join()

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
        for epoch in range(today - REMEMBERED_DAYS, today + 2):  # tomorrow: the clock was set back
            pair = (epoch, self._tag(epoch, transfer))
            if db.execute("SELECT 1 FROM transfer WHERE epoch = ? AND tag = ?", pair).fetchone():
                return False
        db.execute("INSERT INTO transfer VALUES (?, ?)", (today, self._tag(today, transfer)))
        return True

    def _tag(self, epoch: int, transfer: bytes) -> bytes:
        key = derive(self._secret, b"transfer %d" % epoch)
        return hmac.digest(key, transfer, "sha256")[:16]

    # -- the thread -----------------------------------------------------------------------------

    async def _do(self, work: _Work, room: int = 0, reserve: int = 0) -> Any:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        with self._wake:
            if self._stopping:
                raise SpoolFull("the spool is closed")
            self._jobs.append(_Job(work, future, room, reserve))
            self._wake.notify()
        return await future

    def _run(self) -> None:
        while True:
            with self._wake:
                woken = self._wake.wait_for(
                    lambda: self._jobs or self._stopping, _IDLE if self._dirty else None
                )
                batch = [self._jobs.popleft() for _ in range(min(_BATCH, len(self._jobs)))]
            if batch:
                # Pages are written in the order of insertion: within a transaction it says nothing.
                self._shuffle(batch)
                self._commit(self._fitting(batch))
                if time.monotonic() - self._tidied > _LONGEST:
                    self._tidy()
            elif not woken:
                self._tidy()
            else:
                break
        self._tidy()
        with contextlib.suppress(sqlite3.Error):
            self._db.close()

    def _fitting(self, batch: list[_Job]) -> list[_Job]:
        """Those that the volume has room for; the others are refused."""
        volume = os.statvfs(self._folder)
        free = volume.f_bavail * volume.f_frsize
        fit: list[_Job] = []
        refused: list[_Job] = []
        for job in batch:
            fits = not job.reserve or free - job.room >= job.reserve
            free -= job.room if fits else 0
            (fit if fits else refused).append(job)
        _tell(refused, [_full()] * len(refused))
        return fit

    def _commit(self, batch: list[_Job]) -> None:
        self._dirty = True
        results: list[Any]
        try:
            results = self._transaction([job.work for job in batch])
        except Exception:
            # One mail that doesn't fit must not take the others with it; and an emptied log may
            # be all the room that is missing.
            self._tidy()
            self._dirty = True
            results = [self._alone(job.work) for job in batch]
        _tell(batch, results)

    def _transaction(self, works: Sequence[_Work]) -> list[Any]:
        self._db.execute("BEGIN")
        try:
            results = [work(self._db) for work in works]
            self._db.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise
        return results

    def _alone(self, work: _Work) -> Any:
        try:
            return self._transaction([work])[0]
        except Exception:
            return _full()

    def _tidy(self) -> None:
        """Give back free pages and empty the write-ahead log; mail that comes meanwhile goes first.

        In steps: pages that are given back are written to the log first, and there has to be room.
        """
        self._dirty = False
        self._tidied = time.monotonic()
        before = None
        with contextlib.suppress(sqlite3.Error):
            while True:
                # As a script: `execute` would stop after the first page.
                self._db.executescript(f"PRAGMA incremental_vacuum({_STEP})")
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                (left,) = self._db.execute("PRAGMA freelist_count").fetchone()
                if not left or self._jobs or left == before:
                    break
                before = left


def _ticket(id_: bytes, entry: Leaving) -> Ticket:
    return Ticket(id_, entry.recipient.rpartition("@")[2].lower(), entry.due, entry.until)


def _room(mail: bytes) -> int:
    """Bytes that a row takes: once in the log, once in the file."""
    return 2 * size_class(len(mail) + 1024)


def _full() -> SpoolFull:
    return SpoolFull("the spool can't store anything: the disk is full or failing")


def _tell(jobs: Sequence[_Job], results: Sequence[Any]) -> None:
    """Hand over results; from the spool's thread."""
    futures = [job.future for job in jobs]
    if futures:
        with contextlib.suppress(RuntimeError):  # the loop may be gone: then nobody waits
            futures[0].get_loop().call_soon_threadsafe(_resolve, futures, results)


def _resolve(futures: Sequence[asyncio.Future[Any]], results: Sequence[Any]) -> None:
    for future, result in zip(futures, results, strict=True):
        if future.done():  # cancelled: the transaction happened all the same
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
