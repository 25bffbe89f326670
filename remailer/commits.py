"""Group commit: one thread owns the database; what waits while it commits is the next transaction.

A call returns when its transaction is on disk. Work that would leave too little of the volume free
is refused before it begins.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remailer.errors import SpoolFull

_BATCH = 64
"""Most calls in one transaction."""
_IDLE = 0.2
"""Seconds without work after which the write-ahead log is emptied."""
_LONGEST = 5.0
"""Seconds after which it is emptied in the midst of work."""
_STEP = 1024
"""Pages (of 4 KiB) that are given back at a time."""


Work = Callable[[sqlite3.Connection], Any]
"""Called in the thread; if it fails, its transaction is rolled back."""


@dataclass(frozen=True)
class _Job:
    work: Work
    future: asyncio.Future[Any]
    room: int
    """Bytes that it may take of the volume."""
    reserve: int
    """Bytes that it must leave free there."""


class Commits:
    """The thread; `do` belongs to one event loop."""

    def __init__(self, db: sqlite3.Connection, folder: Path) -> None:
        """`folder`: where the database lies, to see how much of the volume is free."""
        self._db = db
        self._folder = folder
        self._shuffle = random.SystemRandom().shuffle
        self._jobs: deque[_Job] = deque()
        self._wake = threading.Condition()
        self._stopping = False
        self._dirty = True
        self._tidied = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)
        self._thread.start()

    async def do(self, work: Work, room: int = 0, reserve: int = 0) -> Any:
        """What `work` makes of the database, in a transaction, once that is on disk.

        `room`: bytes that it may take of the volume; `reserve`: bytes that it must leave free, if
        it is refused at all. Raises SpoolFull.
        """
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        with self._wake:
            if self._stopping:
                raise SpoolFull("the spool is closed")
            self._jobs.append(_Job(work, future, room, reserve))
            self._wake.notify()
        return await future

    def close(self) -> None:
        """Finish what is waiting, tidy up and close the database."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join()

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
        try:
            volume = os.statvfs(self._folder)
            free = volume.f_bavail * volume.f_frsize
        except OSError:
            free = 0  # a failing disk: nothing new
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

    def _transaction(self, works: Sequence[Work]) -> list[Any]:
        self._db.execute("BEGIN")
        try:
            results = [work(self._db) for work in works]
            self._db.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise
        return results

    def _alone(self, work: Work) -> Any:
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
