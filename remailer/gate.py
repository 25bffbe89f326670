"""The gate: who comes in, how many at a time, and how much from one address in a minute.

The rule: of an address nothing is kept but a count, in memory, under a key that nobody knows; key
and counts are thrown away together after a minute.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Protocol, TypeVar

MAX_CONNECTIONS = 100
MAX_STRANGERS = 80
"""Connections to port 25 at a time; the rest of MAX_CONNECTIONS is kept for the link port."""
MAX_OF_ONE = 20
"""Connections from one address at a time: what Postfix has with one destination at most."""
RATE = 600
"""Units that one address may use a minute on port 25; a mail host of many users may need more."""
UNIT = 65_536
"""Bytes of mail that cost a unit, the last part counting as whole; a connection costs one, too."""
RATE_SECONDS = 60.0
PARTING_SECONDS = 0.4
MOST_COUNTED = 10_000
"""Addresses that are counted; with one more all begin anew: who has so many gains nothing by it,
while counted as one with him others would be kept out."""


Waiting = TypeVar("Waiting")


class Visitor(Protocol):
    """A connection, as the gate sees it."""

    storing: bool
    """Whether a mail of it is being made durable: cut now, its sender would send it again."""

    def abort(self) -> None:
        """Hang up at once."""


class Rate:
    """What each address used of its units in this minute."""

    def __init__(self, most: int) -> None:
        """`most`: units a minute."""
        self._most = most
        self._used: dict[bytes, int] = {}
        self._key = b""
        self._end: asyncio.TimerHandle | None = None

    def use(self, origin: bytes, units: int) -> None:
        """Count these."""
        name = self._name(origin)
        if name not in self._used and len(self._used) >= MOST_COUNTED:
            self._forget()
        if not self._used:
            self._key = secrets.token_bytes(16)
            self._end = asyncio.get_running_loop().call_later(RATE_SECONDS, self._forget)
            name = self._name(origin)
        self._used[name] = self._used.get(name, 0) + units

    def spent(self, origin: bytes) -> bool:
        """Whether that address has none left."""
        return self._used.get(self._name(origin), 0) >= self._most

    def _name(self, origin: bytes) -> bytes:
        return hashlib.blake2b(origin, key=self._key, digest_size=16).digest()

    def _forget(self) -> None:
        if self._end:
            self._end.cancel()
        self._used.clear()
        self._key = b""


@dataclass
class Gate:
    """How many connections are open, of how many, and of how many from one address."""

    most: int
    of_one: int = MAX_OF_ONE
    rate: Rate | None = None
    open: dict[Visitor, bytes] = field(default_factory=dict)
    """Whom each comes from, for as long as it is open (a transport that closes forgets it)."""
    leaving: set[Visitor] = field(default_factory=set)
    """Those that were hung up on to make room, until they are gone."""

    def refusal(self, origin: bytes) -> str | None:
        """Why a connection from there can't be taken; if it can, it is counted."""
        if self.rate and self.rate.spent(origin):
            return "421 4.7.1 Too much from your address: try again in a minute"
        held = Counter(whose for visitor, whose in self.open.items() if visitor not in self.leaving)
        if held[origin] >= self.of_one:
            return "421 4.3.2 Too many connections"
        if held.total() >= self.most and not self._make_room(held, origin):
            return "421 4.3.2 Too many connections"
        if self.rate:
            self.rate.use(origin, 1)
        return None

    def _make_room(self, held: Counter[bytes], newcomer: bytes) -> bool:
        """Hang up on the oldest connection of whoever has most, if the newcomer has far fewer."""
        ((most, count),) = held.most_common(1)
        if count <= held[newcomer] + 1:
            return False
        his = (v for v, whose in self.open.items() if whose == most and v not in self.leaving)
        oldest = next((visitor for visitor in his if not visitor.storing), None)
        if oldest is None:
            return False
        self.leaving.add(oldest)
        oldest.abort()
        return True

    def left(self, visitor: Visitor) -> None:
        """That connection is closed."""
        self.open.pop(visitor, None)
        self.leaving.discard(visitor)

    def spent(self, visitor: Visitor) -> bool:
        """Whether no mail is taken from there for now."""
        return self.rate is not None and self.rate.spent(self.open.get(visitor, b""))

    def took(self, visitor: Visitor, before: int, more: int) -> None:
        """Of a mail of which `before` bytes had come, `more` came from there."""
        if self.rate:
            self.rate.use(self.open.get(visitor, b""), units(before + more) - units(before))

    async def finish(self) -> None:
        """Hang up on everybody, on those whose mail is being stored when they had their reply: for
        that they get PARTING_SECONDS."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PARTING_SECONDS):
                while self.open:
                    for visitor in tuple(self.open):
                        if not visitor.storing:
                            visitor.abort()
                    await asyncio.sleep(0.01)
        self.close()

    def close(self) -> None:
        """Hang up on everybody."""
        for visitor in tuple(self.open):
            visitor.abort()


def units(size: int) -> int:
    """What so many bytes of mail cost."""
    return -(-size // UNIT)


def origin(transport: asyncio.BaseTransport) -> bytes:
    """Whom a connection comes from: the address, of IPv6 the /64, which is one customer's."""
    peer = transport.get_extra_info("peername")
    return origin_of(peer[0]) if peer else b""


def origin_of(host: str) -> bytes:
    """The same, of an address as the kernel writes it."""
    return ip_address(host.partition("%")[0]).packed[:8]


def crowding(waiting: Mapping[Waiting, bytes]) -> Waiting:
    """Who has waited longest of the origin of which most are waiting; `waiting`: in their order."""
    ((most, _),) = Counter(waiting.values()).most_common(1)
    return next(visitor for visitor, whose in waiting.items() if whose == most)
