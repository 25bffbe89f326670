"""Peelers: the worker processes that peel a node's mails (peel.py), which can be lost.

A worker that dies takes one mail with it. Its time is the processor's, because a busy machine is no
mail's fault; one that is late by the clock takes its mail with it only the second time. Workers are
spawned, never forked: no thread's lock and no other mail's memory is copied into them. All that
joins them to the node is one pipe each: process pools of libraries have queues with named
semaphores, which stay in /dev/shm and are torn when a worker dies. They are replaced now and then,
so that freed memory goes.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import multiprocessing
import struct
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from remailer.errors import RemailerError, SetupError
from remailer.limits import Use
from remailer.message import MAX_MAIL, MAX_OUTGOING, Outgoing
from remailer.openpgp import Keyring
from remailer.peel import FACTS, SIZE, WORD, work
from remailer.rules import PLAIN, Rules

T = TypeVar("T")

MAX_TASKS = 200
"""Mails that a worker peels before it is replaced."""

MAX_GROWTH = 32 * 1024 * 1024
"""Bytes that a worker may be larger than it was when ready, before it is replaced: what one mail
leaves behind is no longer there for the next, and the worst honest one needs 325 MiB."""

SLOWEST = 12
"""How many times as long as of the processor a mail may take by the clock. Less would lose mails to
other work on the machine, which workers yield to; more would let one hold a worker for long that
doesn't even run."""

START_SECONDS = 30.0
"""How long a worker may take to be ready."""

_ATTEMPTS = 3


class Peelers:
    """Worker processes that peel, each one mail at a time."""

    def __init__(
        self,
        secret_key: bytes,
        address: str,
        rules: Rules = PLAIN,
        *,
        workers: int = 2,
        seconds: float = 10.0,
    ) -> None:
        """A mail may take `seconds` of a processor; `secret_key` is the armoured one.

        Starts nothing.
        """
        self._own = (secret_key, address, rules)
        self._seconds = seconds
        self._count = workers
        # Of its own: asyncio's has a thread more now and then, as the mail has it.
        self._threads = ThreadPoolExecutor(workers, "peel")
        self._workers: set[_Worker] = set()
        self._idle: asyncio.Queue[_Worker | None] = asyncio.Queue()

    async def start(self) -> None:
        """Start the workers and wait until each has loaded the key. Raises SetupError."""
        Keyring.load(self._own[0])
        try:
            for worker in await asyncio.gather(*(self._new() for _ in range(self._count))):
                self._idle.put_nowait(worker)
        except (EOFError, OSError) as error:
            await self.stop()
            raise SetupError(f"peeling workers don't start: {error}") from None

    async def peel(self, raw: bytes) -> tuple[Outgoing, ...]:
        """What one mail is to become: () if it is dropped, for whatever reason.

        Raises RemailerError only if no worker can be started: then the mail hasn't been read, and
        is to be kept.
        """
        if len(raw) > MAX_MAIL:
            return ()
        worker = await self._idle.get()
        late = False
        try:
            for _ in range(_ATTEMPTS):
                if worker is None or worker.worn():
                    worker = await self._replace(worker)
                    if worker is None:
                        continue
                try:
                    return await self._apart(worker.peel, raw, self._seconds)
                except _DiedBefore:
                    worker = await self._replace(worker)
                except _TookTooLong:
                    # By the clock: perhaps all of us were stopped meanwhile.
                    worker = await self._replace(worker)
                    if late:
                        return ()
                    late = True
                except _DiedOfIt:
                    worker = await self._replace(worker)
                    return ()
            raise RemailerError("peeling workers can't be started")
        except asyncio.CancelledError:
            # It is still at this mail; its answer must not be taken for the next one's.
            if worker is not None:
                self._workers.discard(worker)
                worker.kill()
                worker = None
            raise
        finally:
            self._idle.put_nowait(worker)

    async def stop(self) -> None:
        """End all workers, now; mails being peeled are dropped, so stop taking mails first."""
        workers, self._workers = self._workers, set()
        for worker in workers:
            worker.kill()

    async def _apart(self, work: Callable[..., T], *given: object) -> T:
        """Do what blocks in a thread of ours."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(work, *given))

    async def _new(self) -> _Worker:
        worker = await self._apart(_Worker, *self._own)
        self._workers.add(worker)
        return worker

    async def _replace(self, worker: _Worker | None) -> _Worker | None:
        """Another worker in this one's place; None if it doesn't start."""
        if worker is not None:
            self._workers.discard(worker)
            worker.kill()
        with contextlib.suppress(EOFError, OSError):
            return await self._new()
        return None


class _DiedBefore(Exception):
    """A worker died before it took the mail: no fault of the mail's."""


class _DiedOfIt(Exception):
    """A worker died of the mail, or worked on it for too long."""


class _TookTooLong(Exception):
    """A worker wasn't done in time by the clock, though it had not worked for so long."""


class _Worker:
    """One worker process, at the other end of a pipe; its methods block.

    A worker says that it has taken a mail, then how many mails it made of it, then each of them
    with what is to be known of it, then how large it is now: plain bytes, not pickles, because a
    worker reads what strangers wrote.
    """

    def __init__(self, secret_key: bytes, address: str, rules: Rules) -> None:
        """Start it and wait until it is ready. Raises OSError or EOFError if it doesn't start."""
        self.peeled = 0
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=work, args=(theirs, secret_key, address, rules), daemon=True
        )
        self._process.start()
        theirs.close()
        if not self._pipe.poll(START_SECONDS):
            self.kill()
            raise OSError("no answer")
        (self._ready_size,) = (self._size,) = SIZE.unpack(self._pipe.recv_bytes(SIZE.size))

    def worn(self) -> bool:
        """Whether it is time for another one."""
        return self.peeled >= MAX_TASKS or self._size - self._ready_size > MAX_GROWTH

    def peel(self, raw: bytes, seconds: float) -> tuple[Outgoing, ...]:
        """Have one mail peeled. Raises _DiedBefore, _DiedOfIt or _TookTooLong."""
        until = _Until(self._process.pid or 0, seconds)
        try:
            self._pipe.send_bytes(raw)
            self._hear(until, WORD)
        except (_TookTooLong, EOFError, OSError):
            raise _DiedBefore from None
        try:
            count = int.from_bytes(self._hear(until, WORD))
            if count > MAX_OUTGOING:
                raise _DiedOfIt
            made = tuple(self._outgoing(until) for _ in range(count))
        except (EOFError, OSError, ValueError, struct.error):
            raise _DiedOfIt from None
        self.peeled += 1
        try:
            (self._size,) = SIZE.unpack(self._hear(until, SIZE.size))
        except (_DiedOfIt, _TookTooLong, EOFError, OSError, struct.error):
            self.peeled = MAX_TASKS  # it has no more to say, but its mail is made
        return made

    def _outgoing(self, until: _Until) -> Outgoing:
        latent, answer, counted, most, digest = FACTS.unpack(self._hear(until, FACTS.size))
        recipient = self._hear(until, MAX_MAIL).decode("ascii")
        mail = self._hear(until, MAX_MAIL)
        return Outgoing(recipient, mail, latent, Use(digest, most) if counted else None, answer)

    def _hear(self, until: _Until, most: int) -> bytes:
        while not self._pipe.poll(until.left()):
            until.check()
        return self._pipe.recv_bytes(most)

    def kill(self) -> None:
        """End it, whatever it is doing."""
        self._process.kill()
        self._process.join()
        self._pipe.close()


class _Until:
    """How long a process may go on: seconds of a processor, and not forever by the clock."""

    def __init__(self, pid: int, seconds: float) -> None:
        self._pid = pid
        self._work = _processor_seconds(pid) + seconds
        self._clock = time.monotonic() + SLOWEST * seconds

    def left(self) -> float:
        """Seconds before which it can't be too late."""
        work = self._work - _processor_seconds(self._pid)
        return max(0.0, min(work, self._clock - time.monotonic()))

    def check(self) -> None:
        """Raise _DiedOfIt or _TookTooLong if it is too late."""
        if _processor_seconds(self._pid) >= self._work:
            raise _DiedOfIt
        if time.monotonic() >= self._clock:
            raise _TookTooLong


_LIBC = ctypes.CDLL(None)


def _processor_seconds(pid: int) -> float:
    """Seconds of a processor that a process has used; 0 of one that is gone.

    By clock_getcpuclockid(3): its /proc isn't seen under ProtectProc=invisible.
    """
    clock = ctypes.c_int()
    if _LIBC.clock_getcpuclockid(pid, ctypes.byref(clock)):
        return 0.0
    try:
        return time.clock_gettime(clock.value)
    except OSError:
        return 0.0
