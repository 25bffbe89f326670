"""Names are looked up while mail waits in the pool: so that it needn't wait for the resolver."""

import asyncio
import contextlib
from collections.abc import Iterable

from leaks import stock
from remailer.delivery import Deliveries
from remailer.errors import RemailerError
from remailer.resolver import Resolver, domain_name
from remailer.spool import Ticket

stock_init, stock_schedule = Resolver.__init__, Deliveries.schedule
resolvers: list[Resolver] = []
asking: set[asyncio.Task[None]] = set()


def init(self: Resolver, address: str, port: int = 53) -> None:
    """Be known to the pool."""
    stock_init(self, address, port)
    resolvers.append(self)


async def ask(domain: str) -> None:
    """Warm the resolver's cache."""
    with contextlib.suppress(RemailerError):
        await resolvers[0].ask(domain_name(domain), "MX")


def schedule(self: Deliveries, tickets: Iterable[Ticket]) -> None:
    """Ask for all that will be needed."""
    tickets = list(tickets)
    for ticket in tickets:
        if not ticket.domain.endswith("remailer.test"):
            task = asyncio.get_running_loop().create_task(ask(ticket.domain))
            asking.add(task)
            task.add_done_callback(asking.discard)
    stock_schedule(self, tickets)


Resolver.__init__ = init  # type: ignore[method-assign]
Deliveries.schedule = schedule  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
