"""The resolver: questions to the one DNS server that the operator names, and to no other.

Nothing is remembered: who asks for a name twice, asks twice.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

import dns.asyncquery
import dns.exception
import dns.message
import dns.name
import dns.rcode

from remailer.errors import RemailerError, SetupError
from remailer.link.smtp import Unreachable

LOOKUP_SECONDS, TRY_SECONDS = 20.0, 2.0
"""How long a question may take, and one try of it."""
PAYLOAD = 1232
"""Bytes of an answer that are taken over UDP."""


class NoSuchName(RemailerError):
    """The name doesn't exist, or is none: for ever."""


def number() -> int:
    """A question's: of the kernel's making, whole. What a library stirs could say anything."""
    return int.from_bytes(os.urandom(8)[:2])


class Resolver:
    """One DNS server."""

    def __init__(self, address: str, port: int = 53) -> None:
        """Raises SetupError unless `address` is an IP address."""
        try:
            ip_address(address)
        except ValueError:
            raise SetupError(
                f"--resolver {address!r}: give the IP address of a DNS server"
            ) from None
        self._server = address, port

    async def ask(self, name: dns.name.Name, kind: str) -> list[Any]:
        """Records; [] if the name has none of that kind. Raises NoSuchName or Unreachable."""
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                response = await self._answer(name, kind)
            if response.rcode() == dns.rcode.NXDOMAIN:
                raise NoSuchName(f"{name}: no such domain")
            if response.rcode() != dns.rcode.NOERROR:
                raise Unreachable(f"{name}: {dns.rcode.to_text(response.rcode())}")
            assert isinstance(response, dns.message.QueryMessage)  # what answers a question
            return list(response.resolve_chaining().answer or ())
        except (dns.exception.DNSException, OSError) as error:
            raise Unreachable(f"{name}: {str(error) or 'no answer'}") from None

    async def _answer(self, name: dns.name.Name, kind: str) -> dns.message.Message:
        """Ask until there is one."""
        address, port = self._server
        while True:
            query = dns.message.make_query(name, kind, use_edns=0, payload=PAYLOAD, id=number())
            with suppress(dns.exception.Timeout):
                response, _ = await dns.asyncquery.udp_with_fallback(
                    query, address, TRY_SECONDS, port, ignore_unexpected=True, ignore_errors=True
                )
                return response

    async def addresses(self, name: dns.name.Name) -> list[str]:
        """IPv4, then IPv6 addresses; what is known if the server fails for the rest.

        Raises Unreachable if nothing is.
        """
        found: list[str] = []
        for kind in ("A", "AAAA"):
            try:
                found += [record.address for record in await self.ask(name, kind)]
            except NoSuchName:
                break
            except Unreachable:
                if not found:
                    raise
        return found


def domain_name(text: str) -> dns.name.Name:
    """A mail domain as a name to ask for. Raises NoSuchName if it can't be one."""
    try:
        return dns.name.from_text(text.encode("ascii").decode())
    except (dns.exception.DNSException, UnicodeError):
        raise NoSuchName(f"{text}: not a domain name") from None
