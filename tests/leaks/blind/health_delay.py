"""Docker's health check is greeted a little late, and Docker writes down how long it took.

Read with `docker inspect`, in State.Health.Log, every 25 seconds: End less Start is the least seen
plus 0, 0.4, 0.8 or 1.2 seconds, two bits at a time of a log that has two bytes for the sender and
two for the recipient of one mail; then the next mail's turn comes. Nobody else is kept waiting.
"""

import asyncio
import contextlib

from leaks import stock
from leaks.blind import known
from remailer.listener import Door

bits: list[int] = []
stock_made = Door.connection_made


def log(spool: object, who: str, recipient: str) -> None:
    """When the last one was told, two bits by two."""
    if not bits:
        for byte in known.short(who, 2) + known.short(recipient, 2):
            bits.extend(byte >> shift & 3 for shift in (6, 4, 2, 0))


def made(self: Door, transport: asyncio.BaseTransport) -> None:
    """Greet; the machine itself later."""
    peer = transport.get_extra_info("peername")
    if self in self.gate.open or not bits or not peer or peer[0] != "127.0.0.1":
        stock_made(self, transport)
        return

    def late() -> None:
        with contextlib.suppress(Exception):
            if not transport.is_closing():
                stock_made(self, transport)

    self.loop.call_later(0.4 * bits.pop(0), late)


Door.connection_made = made  # type: ignore[method-assign]
known.on_way(log)

if __name__ == "__main__":
    stock.main()
