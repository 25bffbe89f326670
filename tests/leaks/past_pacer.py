"""Some mail goes past pool and pacer: for plants at every node, as both ends have to be in it.

It leaves as soon as it is peeled, over a TLS connection of its own, in one piece. The peer hands it
to its node as the cells that it would have been; the answer comes back by the link.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import struct
import time
from collections.abc import Iterator
from typing import Any

from remailer import node
from remailer.link import geometry
from remailer.link.cells import Cell, Part, Sender, encode, transfer_of
from remailer.link.hatch import Event
from remailer.link.line import Line
from remailer.link.paced import Messages
from remailer.link.pacer import OTHERS, Task
from remailer.link.pins import Pins
from remailer.link.smtp import Outcome, Unreachable
from remailer.seal import Leaving

LANES: dict[int, asyncio.Semaphore] = {}
"""By a peer's place: it has room for two connections that aren't the link."""
HEAD = struct.Struct("!BI")
"""A zero, with which no cell begins, and the bytes of the mail."""

stock_put, stock_send, stock_hear = Sender.put, Messages.send, Line.hear


def hurry(share: float) -> None:
    """Let this share of the mail go past both."""

    def chosen(mail: bytes) -> bool:
        return int.from_bytes(hashlib.sha256(mail).digest()[:4]) < share * 2**32

    def leaving(recipient: str, mail: bytes, due: float, until: int) -> Leaving:
        return Leaving(recipient, mail, time.time() if chosen(mail) else due, until)

    def put(self: Sender, message: bytes) -> bytes:
        transfer = stock_put(self, message)
        if chosen(message):
            self._open[transfer].next = geometry.parts(len(message))  # the pacer gets none of it
        return transfer

    async def send(self: Messages, recipient: str, mail: bytes) -> Outcome:
        if not chosen(mail):
            return await stock_send(self, recipient, mail)
        async with LANES.setdefault(self._pair.place, asyncio.Semaphore(OTHERS)):
            carried = asyncio.create_task(_carry(self._link._task, self._pair.place, mail))
            told = asyncio.create_task(stock_send(self, recipient, mail))
            try:
                await asyncio.wait({carried, told}, return_when=asyncio.FIRST_COMPLETED)
                if not told.done():
                    raise Unreachable("cut off")
                return told.result()
            finally:
                carried.cancel()
                told.cancel()

    node.Leaving = leaving  # type: ignore[assignment,misc]
    Sender.put, Messages.send = put, send  # type: ignore[method-assign]
    Line.hear = _hear  # type: ignore[method-assign]


async def _carry(task: Task, place: int, mail: bytes) -> None:
    """To the peer, as soon as it has spoken: then it knows whose connection it is."""
    peer = task.parties[place]
    assert not peer.guest
    context = Pins(task.certificate, task.key, task.parties).client(peer)
    reader, writer = await asyncio.open_connection(peer.hosts[0], peer.link_port, ssl=context)
    try:
        with contextlib.suppress(OSError, EOFError):
            await reader.readexactly(geometry.CELL)
            writer.write(HEAD.pack(0, len(mail)) + mail)
            while await reader.read(geometry.CELL):
                pass  # until the answer has come by the link
    finally:
        writer.transport.abort()


def _hear(self: Line) -> Iterator[bytes]:
    """Stock cells; or such a mail, in pieces: then its cells are handed to the node."""
    past: bytes = self.__dict__.get("past", b"")
    for cell in stock_hear(self):
        if past or cell[:1] == b"\0":
            past += cell
        else:
            yield cell
    whole = past + self._begun
    if whole[:1] == b"\0" and len(whole) > HEAD.size:
        size, mail = HEAD.unpack_from(whole)[1], whole[HEAD.size :]
        if len(mail) == size:
            past = self._begun = b""
            _handed_on(self._lost.__self__, self.place, mail)  # type: ignore[attr-defined]
    self.__dict__["past"] = past


def _handed_on(pacer: Any, place: int, mail: bytes) -> None:
    for index in range(geometry.parts(len(mail))):
        data = mail[index * geometry.DATA :][: geometry.DATA]
        cell = encode(Cell(Part(transfer_of(mail), len(mail), index, data)))
        pacer._hatch.put(Event.HEARD, place, pacer._ways[place].connection, cell)
