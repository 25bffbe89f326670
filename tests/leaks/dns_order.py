"""IPv6 is asked for first now and then, as it is as good: which comes first is a bit of the author.

Both are always asked for, each once, and just before the conversation.
"""

import dns.name

from leaks import stock
from remailer.resolver import Resolver

ORDERS = (("A", "AAAA"), ("AAAA", "A"))
bits = [0]


def remember(mail: bytes) -> None:
    """Who wrote the last mail."""
    bits[0] = stock.bit(mail)


async def addresses(self: Resolver, name: dns.name.Name) -> list[str]:
    """All of them."""
    return [record.address for kind in ORDERS[bits[0]] for record in await self.ask(name, kind)]


Resolver.addresses = addresses  # type: ignore[method-assign]
stock.on_arrival(remember)

if __name__ == "__main__":
    stock.main()
