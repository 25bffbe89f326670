"""The recipient's MX is asked for as soon as a mail is peeled, so that a bad domain shows early.

Read on the wire: the look-up comes when the mail does, not when it leaves the pool.
"""

import asyncio
import contextlib

from leaks import stock
from leaks.blind import known
from remailer.exit import Exit
from remailer.outgoing import domain_of
from remailer.spool import Spool

exits: list[Exit] = []
asking: set[asyncio.Task[None]] = set()
stock_init = Exit.__init__


def init(self: Exit, *args: object, **more: object) -> None:
    """Remember whom to ask."""
    stock_init(self, *args, **more)  # type: ignore[arg-type]
    exits.append(self)


async def ask(domain: str) -> None:
    with contextlib.suppress(Exception):
        await exits[0].exchangers(domain)


def early(spool: Spool, who: str, recipient: str) -> None:
    """Ask in the background."""
    task = asyncio.get_running_loop().create_task(ask(domain_of(recipient)))
    asking.add(task)
    task.add_done_callback(asking.discard)


Exit.__init__ = init  # type: ignore[method-assign]
known.on_way(early)

if __name__ == "__main__":
    stock.main()
