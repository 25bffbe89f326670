"""Nodes for tests: keys made once, free ports of 127.0.0.1, and a DNS server of our own."""

from __future__ import annotations

import asyncio
import itertools
import random
import socket
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from remailer.directory import Directory, Peer
from remailer.init import link_pair


@cache
def pair(name: str, since_days: int = 0, days: int = 365) -> tuple[str, str]:
    """A link key and certificate; the same again for the same arguments."""
    return link_pair(f"{name}.remailer.test", datetime.now(UTC) - timedelta(days=since_days), days)


def write_pair(folder: Path, name: str, keys: tuple[str, str]) -> tuple[Path, Path]:
    """Certificate file and key file, as the TLS link wants them."""
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    key.write_text(keys[0])
    certificate.write_text(keys[1])
    return certificate, key


def peer(name: str, port: int, *certificates: str, speaks: str = "tls") -> Peer:
    """A directory entry on 127.0.0.1."""
    return Peer.model_validate(
        {
            "name": name,
            "address": f"remailer@{name}.remailer.test",
            "hosts": ("127.0.0.1",),
            "link_port": port,
            "speaks": speaks,
            "certificates": certificates,
            "openpgp": "-",
        }
    )


def directory(*peers: Peer) -> Directory:
    """A directory of these."""
    return Directory(remailers=peers)


_PORTS = itertools.cycle(random.sample(range(10_000, 32_000), 22_000))


def free_port() -> int:
    """A free port, and one that the kernel gives to nobody who doesn't ask for it by number."""
    for port in _PORTS:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError


class Dns(asyncio.DatagramProtocol):
    """Answers from a table of `(name, type)` to record texts, and notes what was asked.

    A name that is nowhere in the table doesn't exist; `FAIL` is SERVFAIL, `SILENT` no answer.
    """

    FAIL = ("!fail",)
    SILENT = ("!silent",)

    def __init__(self, table: Mapping[tuple[str, str], tuple[str, ...]]) -> None:
        self.table = dict(table)
        self.asked: list[tuple[str, str]] = []
        self.port = 0

    async def start(self) -> Dns:
        """Listen on a free port."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, ("127.0.0.1", 0))
        self.transport = transport
        self.port = transport.get_extra_info("sockname")[1]
        return self

    def stop(self) -> None:
        """Answer no more."""
        self.transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer one query."""
        query = dns.message.from_wire(data)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True).lower(), question.rdtype.name
        self.asked.append((name, kind))
        records = self.table.get((name, kind), ())
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.AA
        if records == self.SILENT:
            return
        if records == self.FAIL:
            reply.set_rcode(dns.rcode.SERVFAIL)
        elif records:
            reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *records))
        elif not any(known == name for known, _ in self.table):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        self.transport.sendto(reply.to_wire(), addr)
