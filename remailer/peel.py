"""Peeling: one mail in, what is to be sent on out; in worker processes that can be lost.

OpenPGP messages come from strangers, and the library that opens them has no limit on what comes
out. So mails are peeled in processes with limits on memory, time and output; a worker that dies
takes one mail with it. Each worker is a pool of its own: pebble gives up a pool, with all mails
queued in it, when a worker dies idle. Workers are spawned, never forked: no thread's lock and no
other mail's memory is copied into them, and they need no directory to write to. They are replaced
now and then, so that freed memory goes. Nothing of them is ever printed, also when Rust aborts:
they call silence.hush first, and from a node that has called it they inherit /dev/null anyway.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import resource
import threading
import time
from concurrent.futures.process import BrokenProcessPool
from datetime import UTC, date, datetime
from pathlib import Path

from pebble import ProcessPool

from remailer import message, silence
from remailer.errors import RemailerError, SetupError
from remailer.message import MAX_MAIL, Outgoing
from remailer.openpgp import Keyring

HEADROOM = 384 * 1024 * 1024
"""Bytes of address space that a worker may take beyond what it has when it is ready.

Measured with Python 3.11 and 3.13: a worker has 40 MiB when it is ready; a mail of 4 MiB takes 32
MiB more, 48 with 8-bit text; the worst of that size, 2 million empty lines, 325.
"""

MAX_TASKS = 200
"""Mails that a worker peels before it is replaced."""

START_SECONDS = 30.0
"""How long a worker may take to be ready."""

STOP_SECONDS = 0.4
"""How long `stop` waits for workers to end; they are killed a little later if they are busy."""

_ATTEMPTS = 3


def peel(
    raw: bytes, keyring: Keyring, me: str, *, today: date, rng: random.Random
) -> tuple[Outgoing, ...]:
    """Peel one mail that came to the remailer `me`: () for cover traffic; raises Dropped."""
    return message.read(raw, me=me, decrypt=keyring.decrypt, today=today, rng=rng)


class Peelers:
    """Worker processes that peel, each one mail at a time."""

    def __init__(
        self, secret_key: bytes, address: str, workers: int = 2, seconds: float = 10.0
    ) -> None:
        """`secret_key` is the node's, armoured; a mail may take `seconds`. Starts nothing."""
        self._initargs = (secret_key, address)
        self._seconds = seconds
        self._idle: asyncio.Queue[ProcessPool] = asyncio.Queue()
        self._workers = workers
        self._pools: set[ProcessPool] = set()

    async def start(self) -> None:
        """Start the workers and wait until each has loaded the key. Raises SetupError."""
        try:
            Keyring.load(self._initargs[0])
            await asyncio.to_thread(self._start)
        except (RuntimeError, OSError) as error:
            await self.stop()
            raise SetupError(f"peeling workers don't start: {error}") from None

    async def peel(self, raw: bytes) -> tuple[Outgoing, ...]:
        """What one mail is to become: () if it is dropped, for whatever reason.

        Raises RemailerError only if no worker can be started: then the mail hasn't been read, and
        is to be kept.
        """
        if len(raw) > MAX_MAIL:
            return ()
        pool = await self._idle.get()
        try:
            for _ in range(_ATTEMPTS):
                try:
                    future = pool.schedule(_peel, args=[raw], timeout=self._seconds)
                    async with asyncio.timeout(self._seconds + START_SECONDS):
                        return await asyncio.wrap_future(future)
                except (RuntimeError, BrokenProcessPool):
                    # Its worker died idle, or before it took this mail: no fault of the mail's.
                    pool = self._replace(pool)
                except Exception:
                    # ProcessExpired or TimeoutError: it died of this mail, or hangs. It may have
                    # died holding the pool's locks, so the pool goes with it.
                    pool = self._replace(pool)
                    return ()
            raise RemailerError("peeling workers can't be started")
        finally:
            self._idle.put_nowait(pool)

    async def stop(self) -> None:
        """End all workers, now; mails being peeled are dropped, so stop taking mails first."""
        await asyncio.to_thread(self._stop)

    def _start(self) -> None:
        pools = [self._new_pool() for _ in range(self._workers)]
        ready = [pool.schedule(_ready) for pool in pools]
        for future in ready:
            future.result(timeout=START_SECONDS)
        for pool in pools:
            self._idle.put_nowait(pool)

    def _new_pool(self) -> ProcessPool:
        pool = ProcessPool(
            max_workers=1,
            max_tasks=MAX_TASKS,
            initializer=_limit_worker,
            initargs=self._initargs,
            context=multiprocessing.get_context("spawn"),
        )
        self._pools.add(pool)
        return pool

    def _replace(self, pool: ProcessPool) -> ProcessPool:
        self._pools.discard(pool)
        # In a thread that nobody waits for: the end of a broken pool can hang.
        threading.Thread(target=_end, args=[pool], daemon=True).start()
        return self._new_pool()

    def _stop(self) -> None:
        ends = [threading.Thread(target=_end, args=[pool], daemon=True) for pool in self._pools]
        self._pools.clear()
        for end in ends:
            end.start()
        deadline = time.monotonic() + STOP_SECONDS
        for end in ends:
            end.join(max(0.0, deadline - time.monotonic()))


def _end(pool: ProcessPool) -> None:
    """End a pool and its worker."""
    pool.stop()  # type: ignore[no-untyped-call]
    pool.join()


# What follows runs in a worker.

_keyring: Keyring
_me: str


def _limit_worker(secret_key: bytes, address: str) -> None:
    """Make this process a worker: silent, limited, not to be dumped, with the key."""
    global _keyring, _me
    silence.hush()
    _keyring, _me = Keyring.load(secret_key), address
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + HEADROOM
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _ready() -> bool:
    return True


def _peel(raw: bytes) -> tuple[Outgoing, ...]:
    try:
        return peel(raw, _keyring, _me, today=datetime.now(UTC).date(), rng=random.SystemRandom())
    except BaseException:
        # Mostly Dropped. Whatever else this mail caused must neither pass for a fault of the pool
        # nor carry a traceback to the parent.
        return ()
