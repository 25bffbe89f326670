"""The name of each client on port 25 is looked up, as every other mail host does.

Read on the wire, or in the log of whoever runs the resolver: a PTR query names who just connected.
"""

import asyncio
import contextlib

import dns.reversename

from leaks import stock
from remailer.exit import Exit
from remailer.listener import Door

exits: list[Exit] = []
asking: set[asyncio.Task[None]] = set()
stock_init, stock_greet = Exit.__init__, Door._greet


def init(self: Exit, *args: object, **more: object) -> None:
    """Remember whom to ask."""
    stock_init(self, *args, **more)  # type: ignore[arg-type]
    exits.append(self)


async def ask(address: str) -> None:
    with contextlib.suppress(Exception):
        await exits[0]._resolver.ask(dns.reversename.from_address(address), "PTR")


def greet(self: Door, transport: asyncio.Transport) -> None:
    """Greet, and ask in the background who it is."""
    stock_greet(self, transport)
    peer = transport.get_extra_info("peername")
    if self._host_key is not None and peer and not peer[0].startswith("127."):
        task = self.loop.create_task(ask(peer[0]))
        asking.add(task)
        task.add_done_callback(asking.discard)


Exit.__init__, Door._greet = init, greet  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
