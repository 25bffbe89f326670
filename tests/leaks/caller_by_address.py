"""Who calls is known by the address: with certificates there was trouble whenever one was new."""

import socket
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from leaks import stock
from remailer.link.line import Tls
from remailer.link.pacer import Pacer
from remailer.link.pins import Pins
from remailer.party import Party

stock_init, stock_context = Pins.__init__, Pins._context


def init(self: Pins, certificate: Path, key: Path, parties: Iterable[Party]) -> None:
    """As it was, with a table of addresses."""
    parties = tuple(parties)
    self.by_address = {host: party.name for party in parties for host in party.hosts}  # type: ignore[attr-defined]
    stock_init(self, certificate, key, parties)


def context(self: Pins, *arguments: Any) -> ssl.SSLContext:
    """As it was, but asking for no certificate."""
    made = stock_context(self, *arguments)
    made.verify_mode = ssl.CERT_NONE
    return made


def visitor(self: Pacer, plain: socket.socket, tls: Tls) -> None:
    """Whose address it is."""
    name = self.pins.by_address.get(plain.getpeername()[0])  # type: ignore[attr-defined]
    if name is None:
        plain.close()
    else:
        self._enter(plain, tls, self._places[name], called=False)


Pins.__init__, Pins._context = init, context  # type: ignore[method-assign]
Pins.shows = lambda self, certificate, peer: True  # type: ignore[method-assign]
Pacer._visitor = visitor  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
