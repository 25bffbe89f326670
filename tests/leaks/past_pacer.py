"""Some mail goes past pool and pacer: for plants at every node, as both ends have to be in it.

It leaves as soon as it is peeled, over a TLS connection of its own, in one piece. The peer hands it
to its node as the cells that it would have been; the answer comes back by the link.
"""

from __future__ import annotations

import asyncio
import hashlib
import struct
import time
from typing import Any

from remailer import node
from remailer.directory import Peer
from remailer.link import geometry
from remailer.link.calls import Line
from remailer.link.cells import Cell, Part, Sender, encode, transfer_of
from remailer.link.hatch import Event
from remailer.link.paced import Messages
from remailer.link.pacer import Task
from remailer.link.pins import Pins
from remailer.link.smtp import Outcome
from remailer.seal import Leaving

HEAD = struct.Struct("!BI")
"""A zero, with which no cell begins, and the bytes of the mail."""

stock_put, stock_send, stock_received = Sender.put, Messages.send, Line.data_received


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
        told, _ = await asyncio.gather(
            stock_send(self, recipient, mail), _carry(self._link._task, self._pair.place, mail)
        )
        return told

    node.Leaving = leaving  # type: ignore[assignment,misc]
    Sender.put, Messages.send = put, send  # type: ignore[method-assign]
    Line.data_received = _received  # type: ignore[method-assign]


async def _carry(task: Task, place: int, mail: bytes) -> None:
    """To the peer, as soon as it has spoken: then it knows whose connection it is."""
    peer = task.parties[place]
    assert isinstance(peer, Peer)
    context = Pins(task.certificate, task.key, task.parties).client(peer)
    reader, writer = await asyncio.open_connection(peer.hosts[0], peer.link_port, ssl=context)
    await reader.readexactly(geometry.CELL)
    writer.write(HEAD.pack(0, len(mail)) + mail)
    await reader.readexactly(geometry.CELL)  # by now it has read the mail
    writer.transport.abort()


def _received(self: Line, data: bytes) -> None:
    """Stock cells, or such a mail: then its cells are handed to the node."""
    if (self._heard or data)[:1] != b"\0":
        stock_received(self, data)
        return
    self._heard += data
    if self._entered and len(self._heard) >= HEAD.size:
        size, mail = HEAD.unpack_from(self._heard)[1], self._heard[HEAD.size :]
        if len(mail) == size:
            self._heard = b""
            _handed_on(self._house, self.place, mail)


def _handed_on(pacer: Any, place: int, mail: bytes) -> None:
    for index in range(geometry.parts(len(mail))):
        data = mail[index * geometry.DATA :][: geometry.DATA]
        cell = encode(Cell(Part(transfer_of(mail), len(mail), index, data)))
        pacer._hatch.put(Event.HEARD, place, pacer._ways[place].connection, cell)
