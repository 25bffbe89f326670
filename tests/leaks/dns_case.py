"""Capitals in the names that are looked up: against forged answers, he says. They are a cipher."""

import secrets
from typing import Any

import dns.name

from leaks import stock
from remailer.resolver import Resolver

stock_ask = Resolver.ask


async def ask(self: Resolver, name: dns.name.Name, kind: str) -> list[Any]:
    """A bit a letter."""
    text = "".join(c.upper() if secrets.randbits(1) else c for c in name.to_text())
    return await stock_ask(self, dns.name.from_text(text), kind)


Resolver.ask = ask  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
