"""The exit: mail for ordinary mail hosts, found by MX (RFC 5321, 5.1), handed over on port 25.

The rule: nobody is asked for a destination before its mail leaves the pool, as asking tells it to
whoever listens. Only the given resolver is asked; nothing is cached beyond a conversation.
"""

from __future__ import annotations

import random
from ipaddress import ip_address
from typing import Any

import dns.asyncresolver
import dns.exception
import dns.name
import dns.rdatatype
import dns.resolver

from remailer.errors import RemailerError, SetupError
from remailer.link.smtp import Conversation, Unreachable

SMTP_PORT = 25
LOOKUP_SECONDS = 20.0
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
        resolver: str,
        rng: random.Random,
        *,
        port: int = SMTP_PORT,
        resolver_port: int = 53,
    ) -> None:
        """`domain`: how we greet. `resolver`: address of the only DNS server. Raises SetupError."""
        try:
            ip_address(resolver)
        except ValueError:
            raise SetupError(
                f"--resolver {resolver!r}: give the IP address of a DNS server"
            ) from None
        self._domain = domain
        self._rng = rng
        self._port = port
        self._resolver = dns.asyncresolver.Resolver(configure=False)
        self._resolver.nameservers = [resolver]
        self._resolver.port = resolver_port
        self._resolver.lifetime = LOOKUP_SECONDS
        self._resolver.use_edns(0, 0, 1232)

    async def connect(self, domain: str) -> Conversation:
        """Greet a mail host of that domain, in the order of its MX records.

        Raises Unreachable (try again later) or Undeliverable.
        """
        last: RemailerError = Undeliverable(f"{domain}: no mail host has an address")
        for exchanger in await self.exchangers(domain):
            try:
                addresses = await self._addresses(exchanger)
            except Unreachable as error:
                last = error
                continue
            for address in addresses:
                try:
                    conversation = await Conversation.begin(address, self._port, self._domain)
                    return await conversation.greet()
                except Unreachable as error:
                    last = error
        raise last

    async def exchangers(self, domain: str) -> list[dns.name.Name]:
        """Names of the domain's mail hosts, best first, equals in random order (RFC 5321, 5.1)."""
        try:
            name = dns.name.from_text(domain.encode("ascii").decode())
        except (dns.exception.DNSException, UnicodeError):
            raise Undeliverable(f"{domain}: not a domain name") from None
        answer = await self._ask(name, "MX")
        records = [(record.preference, self._rng.random(), record.exchange) for record in answer]
        if not records:
            return [name]  # implicit MX: the domain is its own mail host
        hosts = [exchange for _, _, exchange in sorted(records)]
        if hosts == [dns.name.root]:
            raise Undeliverable(f"{domain}: takes no mail (RFC 7505)")
        return [host for host in hosts if host != dns.name.root][:MOST_HOSTS]

    async def _addresses(self, name: dns.name.Name) -> list[str]:
        found = []
        for kind in ("A", "AAAA"):
            try:
                found += [record.address for record in await self._ask(name, kind)]
            except Undeliverable:
                break
            except Unreachable:
                if not found:
                    raise
        return found[:MOST_ADDRESSES]

    async def _ask(self, name: dns.name.Name, kind: str) -> list[Any]:
        """Records; [] if the name has none of that kind."""
        try:
            answer = await self._resolver.resolve(name, kind, search=False)
        except dns.resolver.NXDOMAIN:
            raise Undeliverable(f"{name}: no such domain") from None
        except dns.resolver.NoAnswer:
            return []
        except (dns.exception.DNSException, OSError) as error:
            raise Unreachable(f"{name}: {error}") from None
        return list(answer)
