"""The resolver: questions to the one DNS server that the operator names, and to no other.

Nothing is remembered: who asks for a name twice, asks twice.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import dns.asyncresolver
import dns.exception
import dns.name
import dns.resolver

from remailer.errors import RemailerError, SetupError
from remailer.link.smtp import Unreachable

LOOKUP_SECONDS = 20.0


class NoSuchName(RemailerError):
    """The name doesn't exist, or is none: for ever."""


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
        self._resolver = dns.asyncresolver.Resolver(configure=False)
        self._resolver.nameservers = [address]
        self._resolver.port = port
        self._resolver.lifetime = LOOKUP_SECONDS
        self._resolver.use_edns(0, 0, 1232)

    async def ask(self, name: dns.name.Name, kind: str) -> list[Any]:
        """Records; [] if the name has none of that kind. Raises NoSuchName or Unreachable."""
        try:
            answer = await self._resolver.resolve(name, kind, search=False)
        except dns.resolver.NXDOMAIN:
            raise NoSuchName(f"{name}: no such domain") from None
        except dns.resolver.NoAnswer:
            return []
        except (dns.exception.DNSException, OSError) as error:
            raise Unreachable(f"{name}: {error}") from None
        return list(answer)

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
