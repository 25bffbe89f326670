"""Delivery: when a mail is due it goes to its destination; each destination is served on its own.

The rule: a mail leaves the spool only when somebody else answered 250 for it, refused it for ever,
or an attempt fails after its last day. How often something was tried is known to memory only. A
destination that hangs has one conversation of all that may be held at a time, never several.
"""

from __future__ import annotations

import asyncio
import heapq
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from remailer.errors import SpoolFull
from remailer.exit import Undeliverable
from remailer.link.smtp import Interrupted, Outcome
from remailer.link.talk import Talk
from remailer.seal import Leaving
from remailer.spool import DAY, Spool, Ticket

CONNECT_SECONDS = 600.0
"""For all of a destination's hosts together: looking them up, connecting, greeting."""
SCARCE_SECONDS = 60.0
"""The same, while half of the conversations that may be held are."""
LINGER_SECONDS = 2.0
"""How long a conversation waits for more mail before it says QUIT."""
CONVERSATION_SECONDS = 300.0
MOST_CONVERSATIONS = 4
"""With one destination that answers; another is begun for every so many mails that wait."""

MOST_BREAKS = 8
"""So often a mail that is interrupted comes first again; then it is the others' turn once, as it
may be the mail that breaks the line."""

PARTING_SECONDS = 0.5
"""So long a stop waits for the replies to mails that are with the other side."""

SETTLING_SECONDS = 3600.0
"""So long after a start no mail is given up: after days without power the network may come late."""

MOST_OPEN = 64
"""Conversations at a time, with all destinations together."""

Connect = Callable[[], Awaitable[Talk]]


@dataclass(frozen=True)
class Pace:
    """Seconds between attempts: doubled each time up to the longest, less up to half at random."""

    unreachable: float = 1.0
    """The first wait when a destination can't be talked to."""
    put_off: float = 1.0
    """The first wait for a mail that got 4xx."""
    longest: float = 300.0


PEERS = Pace()
HOSTS = Pace(put_off=30.0, longest=1800.0)
"""A host that greylists wants five minutes or so between attempts; one that is down for days is
asked twice an hour (RFC 5321, 4.5.4.1)."""


def back_off(
    failures: int, rng: random.Random, first: float = 1.0, longest: float = 300.0
) -> float:
    """Seconds until the next attempt, after so many failed ones."""
    return min(longest, first * 2.0 ** min(failures - 1, 20)) * rng.uniform(0.5, 1.0)


class Deliveries:
    """All mail that waits to leave: first for its time, then for its destination."""

    def __init__(
        self,
        spool: Spool,
        route: Callable[[str], Connect],
        rng: random.Random,
        pace: Pace,
        most: int = MOST_OPEN,
    ) -> None:
        """`route`: how to begin a conversation for a mail domain; `most`: how many at a time."""
        self.spool = spool
        self.rng = rng
        self.pace = pace
        self.slots = asyncio.Semaphore(most)
        self.conversations = 0
        self._settled = time.monotonic() + SETTLING_SECONDS
        self._most = most
        self._route = route
        self._later: list[tuple[float, bytes, Ticket]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._destinations: dict[str, _Destination] = {}
        self._failures: dict[bytes, int] = {}
        self._breaks: dict[bytes, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._handing: set[asyncio.Task[Any]] = set()
        """Of these the tasks that a stop waits for: they hand over a mail, or forget it."""
        self.stopped = False

    def schedule(self, tickets: Iterable[Ticket]) -> None:
        """Let these leave when they are due."""
        for ticket in tickets:
            heapq.heappush(self._later, (ticket.due, ticket.id, ticket))
        self._release()

    @property
    def scarce(self) -> bool:
        """Whether half of the conversations that may be held are: then one a destination is all."""
        return self.conversations * 2 >= self._most

    async def stop(self) -> None:
        """Drop everything on the floor: it is in the spool.

        Only what is with the other side gets PARTING_SECONDS for its reply: an ordinary mail host
        would get it twice.
        """
        self.stopped = True
        if self._timer:
            self._timer.cancel()
        for task in self._tasks - self._handing:
            task.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(PARTING_SECONDS):
                while self._handing:
                    await asyncio.wait(self._handing)
        for task in self._tasks:
            task.cancel()

    @contextmanager
    def handing(self) -> Iterator[None]:
        """While this lasts a stop waits for the task that is running."""
        task = asyncio.current_task()
        assert task
        self._handing.add(task)
        try:
            yield
        finally:
            self._handing.discard(task)

    def _release(self) -> None:
        """Hand over what is due, and wake up for what is next."""
        if self.stopped:
            return
        now = time.time()
        while self._later and self._later[0][0] <= now:
            ticket = heapq.heappop(self._later)[2]
            destination = self._destinations.get(ticket.domain)
            if destination is None:
                destination = _Destination(self, ticket.domain, self._route(ticket.domain))
                self._destinations[ticket.domain] = destination
            destination.add(ticket)
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._later:
            # The wall clock may be set meanwhile: look again after ten minutes at the latest.
            wait = min(self._later[0][0] - now, 600.0)
            self._timer = asyncio.get_running_loop().call_later(wait, self._release)

    def defer(self, ticket: Ticket) -> None:
        """Try this one again later."""
        failures = self._failures[ticket.id] = self._failures.get(ticket.id, 0) + 1
        wait = back_off(failures, self.rng, self.pace.put_off, self.pace.longest)
        self.schedule([Ticket(ticket.id, ticket.domain, time.time() + wait, ticket.until)])

    def goes_on(self, ticket: Ticket) -> bool:
        """Whether this one, interrupted once more, is to go on before the others."""
        breaks = self._breaks[ticket.id] = self._breaks.get(ticket.id, 0) + 1
        return breaks % MOST_BREAKS != 0

    def done(self, ticket: Ticket) -> None:
        """This one is no longer ours."""
        self._failures.pop(ticket.id, None)
        self._breaks.pop(ticket.id, None)
        self._handing.add(self.start(self._delete(ticket.id)))

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something until it ends or the node does."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(self._handing.discard)
        return task

    async def _delete(self, id_: bytes) -> None:
        failures = 0
        while True:
            try:
                return await self.spool.delete(id_)
            except SpoolFull:
                failures += 1
                await asyncio.sleep(back_off(failures, self.rng))

    def too_old(self, ticket: Ticket) -> bool:
        """Whether another failed attempt was its last."""
        return ticket.until < int(time.time() // DAY) and time.monotonic() >= self._settled

    def forget(self, domain: str) -> None:
        """A destination without mail is not remembered."""
        self._destinations.pop(domain, None)


class _Destination:
    """One mail domain: the mails that are due for it, and the conversations with it."""

    def __init__(self, all_: Deliveries, domain: str, connect: Connect) -> None:
        self._all = all_
        self._domain = domain
        self._connect = connect
        self._due: deque[Ticket] = deque()
        self._more = asyncio.Event()
        self._busy = 0
        self._failures = 0
        self._resting = False
        self._answers = False

    def add(self, ticket: Ticket) -> None:
        """One more mail is due."""
        self._due.append(ticket)
        self._more.set()
        self._begin()

    def _begin(self) -> None:
        """Begin as many conversations as the mails that wait are worth."""
        while (
            not self._resting
            and not self._all.stopped
            and self._busy < MOST_CONVERSATIONS
            and len(self._due) > self._busy * MOST_CONVERSATIONS
            # One that hangs must not take the places of others: it gets one, never several.
            and (not self._busy or (self._answers and not self._all.scarce))
        ):
            self._busy += 1
            self._all.conversations += 1
            self._all.start(self._converse())
        if not self._due and not self._busy and not self._resting:
            self._all.forget(self._domain)

    async def _converse(self) -> None:
        try:
            async with self._all.slots:
                patience = SCARCE_SECONDS if self._all.scarce else CONNECT_SECONDS
                async with asyncio.timeout(patience):
                    conversation = await self._connect()
                await self._hand_over(conversation)
            self._failures = 0
        except Undeliverable:
            while self._due:
                self._all.done(self._due.popleft())
        except Exception:
            # Whatever it was, the mail is safe and the next attempt may go better.
            self._rest()
        finally:
            self._busy -= 1
            self._all.conversations -= 1
        self._begin()

    def _rest(self) -> None:
        """Leave the destination alone for a while."""
        self._give_up_old()
        self._answers = False
        if not self._resting:
            self._failures += 1
            self._resting = True
            pace = self._all.pace
            wait = back_off(self._failures, self._all.rng, pace.unreachable, pace.longest)
            asyncio.get_running_loop().call_later(wait, self._rested)

    def _rested(self) -> None:
        self._resting = False
        self._begin()

    async def _hand_over(self, conversation: Talk) -> None:
        """Give the other side what is due, until nothing is for a while."""
        end = time.monotonic() + CONVERSATION_SECONDS
        try:
            while time.monotonic() < end and not self._all.stopped and await self._wait():
                ticket = self._due.popleft()
                try:
                    await self._attempt(conversation, ticket)
                except Interrupted:
                    self._interrupted(ticket)
                    raise
                except BaseException:
                    self._due.append(ticket)  # last: it may be the mail that breaks the line
                    raise
        except BaseException:
            conversation.close()
            raise
        await conversation.end()

    def _interrupted(self, ticket: Ticket) -> None:
        """The peer keeps what it has of a few mails for a while: the same are to go on, and soon.

        Whether the line is up again `connect` waits for.
        """
        self._failures = 0
        if self._all.goes_on(ticket):
            self._due.appendleft(ticket)
        else:
            self._due.append(ticket)

    async def _wait(self) -> bool:
        """Whether a mail is due, now or within LINGER_SECONDS."""
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                while not self._due:
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            return bool(self._due)
        return True

    async def _attempt(self, conversation: Talk, ticket: Ticket) -> None:
        entry = await self._all.spool.read(ticket.id)
        if not isinstance(entry, Leaving):
            return
        # However old it is: after a long stop, or a jump of the clock, this is its first attempt.
        with self._all.handing():
            outcome = await conversation.send(entry.recipient, entry.mail)
            if outcome is Outcome.DEFERRED and not self._all.too_old(ticket):
                self._all.defer(ticket)
            else:
                self._failures = 0
                self._all.done(ticket)
        if not self._answers:
            self._answers = True
            self._begin()

    def _give_up_old(self) -> None:
        for _ in range(len(self._due)):
            ticket = self._due.popleft()
            if self._all.too_old(ticket):
                self._all.done(ticket)
            else:
                self._due.append(ticket)
