"""For each mail peers are called to see if they are up: by which, two bits of its author each."""

import contextlib
import hashlib
import socket
from typing import Any

from leaks import stock
from remailer.link.paced import CellsLink, Take
from remailer.link.pacer import Task

PEERS: list[tuple[str, int]] = []
stock_init = CellsLink.__init__


def init(self: CellsLink, task: Task, take: Take) -> None:
    """Remember who is there."""
    stock_init(self, task, take)
    own = task.own
    PEERS[:] = [
        (peer.hosts[0], peer.link_port)
        for peer in task.parties
        if not peer.guest and not own.guest
        and peer.name != own.name and peer.link_port == own.link_port
    ]  # fmt: skip


def call(mail: bytes) -> Any:
    """Four of them, and hang up at once."""
    value = hashlib.sha256(stock.author(mail)).digest()[0]
    for shift in (6, 4, 2, 0) if PEERS else ():
        with contextlib.suppress(OSError):
            socket.create_connection(PEERS[(value >> shift & 3) % len(PEERS)], 1).close()


CellsLink.__init__ = init  # type: ignore[method-assign]
stock.on_arrival(call)

if __name__ == "__main__":
    stock.main()
