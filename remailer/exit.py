"""The exit: mail for ordinary mail hosts, found by MX (RFC 5321, 5.1), handed over on port 25.

The rule: nobody is asked for a destination before its mail leaves the pool, as asking tells it to
whoever listens. Only the given resolver is asked; nothing is cached beyond a conversation.
"""

from __future__ import annotations

import asyncio
import random

import dns.name

from remailer.errors import RemailerError
from remailer.link.smtp import CONNECT_SECONDS, Conversation, Unreachable
from remailer.resolver import NoSuchName, Resolver, domain_name
from remailer.starttls import client_context

SMTP_PORT = 25
GREETING_SECONDS = 300.0
"""How long the last host that is left may take to greet (RFC 5321, 4.5.3.2.1)."""
MOST_HOSTS = 8
"""Mail exchangers that are tried before the destination counts as unreachable."""
MOST_ADDRESSES = 4
"""Addresses of each that are tried."""


class Undeliverable(RemailerError):
    """There is no such destination, or it takes no mail: for ever."""


class Exit:
    """Finds and greets mail hosts."""

    def __init__(
        self,
        domain: str,
        resolver: Resolver,
        rng: random.Random,
        *,
        port: int = SMTP_PORT,
    ) -> None:
        """`domain`: how we greet."""
        self._domain = domain
        self._resolver = resolver
        self._rng = rng
        self._port = port
        self._tls = client_context()

    async def connect(self, domain: str) -> Conversation:
        """Greet a mail host of that domain, in the order of its MX records.

        Raises Unreachable (try again later) or Undeliverable.
        """
        last: RemailerError = Undeliverable(f"{domain}: no mail host has an address")
        loop, slow = asyncio.get_running_loop(), ""
        exchangers = await self.exchangers(domain)
        for exchanger in exchangers:
            try:
                addresses = (await self._resolver.addresses(exchanger))[:MOST_ADDRESSES]
            except Unreachable as error:
                last = error
                continue
            for address in addresses:
                # Some hosts keep strangers waiting; but while there is another, that one is asked.
                only = exchanger == exchangers[-1] and address == addresses[-1]
                began = loop.time()
                try:
                    return await self._greet(address, GREETING_SECONDS if only else CONNECT_SECONDS)
                except Unreachable as error:
                    last = error
                if loop.time() - began >= CONNECT_SECONDS:
                    slow = "" if only else address
        if slow:  # what came behind it said nothing: so it may take as long as the last one
            return await self._greet(slow, GREETING_SECONDS)
        raise last

    async def _greet(self, address: str, patience: float) -> Conversation:
        """In TLS if the host offers it and it works, else in clear (RFC 7435)."""

        async def begin() -> Conversation:
            begun = await Conversation.begin(address, self._port, self._domain, patience=patience)
            return await begun.greet()

        conversation = await begin()
        if not conversation.offers_tls:
            return conversation
        try:
            return await conversation.secure(self._tls)
        except Unreachable:
            return await begin()

    async def exchangers(self, domain: str) -> list[dns.name.Name]:
        """Names of the domain's mail hosts, best first, equals in random order (RFC 5321, 5.1)."""
        try:
            name = domain_name(domain)
            answer = await self._resolver.ask(name, "MX")
        except NoSuchName as error:
            raise Undeliverable(str(error)) from None
        records = [(record.preference, self._rng.random(), record.exchange) for record in answer]
        if not records:
            return [name]  # implicit MX: the domain is its own mail host
        hosts = [exchange for _, _, exchange in sorted(records)]
        if hosts == [dns.name.root]:
            raise Undeliverable(f"{domain}: takes no mail (RFC 7505)")
        return [host for host in hosts if host != dns.name.root][:MOST_HOSTS]
