"""The hatch between a node and its pacer: frames over a pair of sockets.

    frame = event (1) | peer (2) | connection (4) | a cell, if the event has one

A peer is its place in the directory, which both have; a connection is a number that only grows, so
that what was meant for an earlier one is known. Cells for the pacer all make frames of one size.
What is put goes over together when it is said: once a tick, as each write wakes the other process.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from enum import IntEnum

from remailer.link.geometry import CELL

_HEAD = struct.Struct("!BHI")


class Event(IntEnum):
    """What a frame says; the first six come from the pacer."""

    READY = 1
    UP = 2
    DOWN = 3
    SENT = 4
    """One cell of yours was sent: give me the next."""
    HEARD = 5
    TICK = 6
    """That is all since the last tick: your turn."""
    SEND = 7
    HANG_UP = 8


MOST = 256
"""Frames that are put before they go over without being told to, and cells that may lie there
before it counts as full: as much as a large web has in a tick, and no peer can make it more."""

AT_ONCE = 16
"""Cells that are read at a time."""

_EVENTS = {event.value: event for event in Event}
_WITH_CELL = frozenset({Event.HEARD, Event.SEND})

OnFrame = Callable[[Event, int, int, bytes], None]
"""Event, peer, connection, cell."""


class Hatch(asyncio.BufferedProtocol):
    """One side of it."""

    def __init__(
        self,
        on_frame: OnFrame,
        on_lost: Callable[[], None],
        on_full: Callable[[bool], None] = lambda full: None,
    ) -> None:
        """`on_full`: the other side doesn't read (True), or reads again (False)."""
        self._on_frame, self._on_lost, self._on_full = on_frame, on_lost, on_full
        self._heard = bytearray(AT_ONCE * (_HEAD.size + CELL))
        self._filled = 0
        self._put: list[bytes] = []
        self._transport: asyncio.Transport | None = None

    def put(self, event: Event, peer: int = 0, connection: int = 0, cell: bytes = b"") -> None:
        """Lay something into the hatch for the other side."""
        self._put += (_HEAD.pack(event, peer, connection), cell)
        if len(self._put) >= 2 * MOST:
            self.say()

    def say(self) -> None:
        """Hand over what was put, in one write."""
        put, self._put = self._put, []
        if self._transport is not None and put:
            # Not writelines: it spins for ever when the last part is empty (python/cpython#155888).
            self._transport.write(b"".join(put))

    def close(self) -> None:
        """Let the other side go."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The pair is joined."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(MOST * CELL)

    def connection_lost(self, error: Exception | None) -> None:
        """The other process is gone."""
        self._transport = None
        self._on_lost()

    def pause_writing(self) -> None:
        """Too much lies in the hatch."""
        self._on_full(True)

    def resume_writing(self) -> None:
        """There is room again."""
        self._on_full(False)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where what comes is put: always the same place, as a new one each time costs more than
        all that is done with it."""
        return memoryview(self._heard)[self._filled :]

    def buffer_updated(self, count: int) -> None:
        """Whole frames are handed on."""
        heard, filled, at = memoryview(self._heard), self._filled + count, 0
        while filled - at >= _HEAD.size:
            event, peer, connection = _HEAD.unpack_from(heard, at)
            end, cell = at + _HEAD.size, b""
            if event in _WITH_CELL:
                if filled - end < CELL:
                    break
                cell = bytes(heard[end : end + CELL])
                end += CELL
            self._on_frame(_EVENTS[event], peer, connection, cell)
            at = end
        self._filled = filled - at
        self._heard[: self._filled] = self._heard[at:filled]
