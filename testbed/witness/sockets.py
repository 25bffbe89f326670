"""Claim `silent-sockets`: whom a node's sockets were opened to, as tracepoints saw it. No I/O here.

The sniffer sees what leaves a container; this sees what doesn't: the loopback, sockets in folders,
other families, ports that are chosen, options.
"""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from remailer.link.line import UNSENT
from testbed.agent import Answer
from testbed.topology import Link, Node, Topology
from testbed.verdict import Context, Control, Evidence, Finding, judge, some
from testbed.wire.identities import PROBE_PORTS
from testbed.witness.inside import caller, excerpt, none_lost, unseen

CLAIM = "silent-sockets"

AF_UNSPEC, AF_UNIX, AF_INET, AF_INET6, AF_NETLINK = 0, 1, 2, 10, 16

RESOLVERS_OWN = "/var/run/nscd/socket"
"""The C library asks here for names and addresses; nobody answers in a container."""

BACKLOG = "100"
"""Connections that may wait at a port: asyncio's own number. Others can read it (ss -l)."""

OPTIONS = frozenset({"1 2 1", "41 26 1", "6 1 1"})
"""Level, name and value: SO_REUSEADDR, IPV6_V6ONLY, TCP_NODELAY."""
OF_CELLS = f"1 7 {UNSENT}"
"""SO_SNDBUF: a link of cells lets few of them wait in the kernel."""


@dataclass(frozen=True)
class Address:
    """A socket's address: its family, and what that family has."""

    family: int
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        """For people to read."""
        if self.family in {AF_INET, AF_INET6}:
            return f"{self.host} port {self.port}"
        return f"family {self.family} {self.host}".rstrip()


def parse(told: str) -> Address:
    """A sockaddr as the recorder shows it; one that is too short has no host."""
    data = bytes.fromhex(told.replace("\\x", ""))
    family = int.from_bytes(data[:2], sys.byteorder)
    if family == AF_UNIX:
        name = data[2:]
        end = name.find(b"\0", 1) if name[:1] != b"\0" else len(name)
        return Address(family, name[: end if end >= 0 else None].decode("latin-1"))
    if family == AF_INET and len(data) >= 8:
        return Address(
            family, str(ipaddress.ip_address(data[4:8])), int.from_bytes(data[2:4], "big")
        )
    if family == AF_INET6 and len(data) >= 24:
        host = ipaddress.IPv6Address(data[8:24])
        return Address(family, str(host.ipv4_mapped or host), int.from_bytes(data[2:4], "big"))
    return Address(family, "" if not any(data[2:]) else data[2:].hex())


def row(node: Node, topology: Topology, answer: Answer) -> Finding:
    """One node's row, from the recorder's answer."""
    if why := answer.get("why") or answer.get("unseen_calls"):
        return unseen(CLAIM, node.name, why)
    texts: Mapping[str, Answer] = answer["texts"]
    reached = [
        parse(what)
        for call, _, what in (text.partition("\t") for text in texts)
        if call in {"connect", "sendto"}
    ]
    peers = {other.host for other in topology.remailers} - {node.host}
    hosts = {host.host for host in topology.mailhosts}
    ports: Collection[int] = (topology.link.port,)
    if topology.link is Link.CELLS:  # of two peers one calls; but everybody calls the prober
        peers, ports = peers | {topology.prober}, (*ports, *PROBE_PORTS)
    controls = [
        _reached("a conversation with a peer", reached, peers, ports),
        _reached("a conversation with a mail host", reached, hosts, (25,)),
        _reached("a question to the resolver", reached, {topology.dns}, (53,)),
        Control(
            "a datagram of the witness's on its loopback", "sendto" in answer["tried"], "sendto"
        ),
        Control("the socket that it needed is counted", "socket" in answer["tried"], "socket"),
        none_lost(answer),
    ]
    found = list(_evidence(texts, _Allowed(node, topology)))
    return judge(
        CLAIM,
        node.name,
        looked_at=f"{len(reached)} addresses that it opened sockets or sent to",
        controls=controls,
        evidence=some([evidence for _, evidence in found]),
        kind=found[0][0] if found else "",
    )


def _reached(
    sought: str, reached: list[Address], hosts: set[str], ports: Collection[int]
) -> Control:
    found = next((a for a in reached if a.host in hosts and a.port in ports), None)
    return Control(sought, found is not None, str(found or ""))


class _Allowed:
    """What one node may do with sockets."""

    def __init__(self, node: Node, topology: Topology) -> None:
        own = {"0.0.0.0", "::", "127.0.0.1", "::1", node.host}
        self.ports = {25, topology.link.port}
        self.pairs = {(host, 25) for host in own}  # for its health
        # The C library tries by connecting UDP, which sends nothing, which address comes first.
        self.pairs |= {(host, topology.link.port) for host in ("0.0.0.0", "::")}
        self.pairs |= {(other.host, topology.link.port) for other in topology.remailers}
        self.pairs |= {(host.host, 25) for host in topology.mailhosts}
        self.pairs |= {(topology.prober, port) for port in PROBE_PORTS}
        self.dns = (topology.dns, 53)
        self.options = OPTIONS | ({OF_CELLS} if topology.link is Link.CELLS else set())

    def bound(self, address: Address) -> bool:
        """Its ports on all addresses; netlink's by the kernel."""
        if address.family in {AF_INET, AF_INET6}:
            return address.host in {"0.0.0.0", "::"} and address.port in self.ports
        return address == Address(AF_NETLINK)

    def opened(self, address: Address) -> bool:
        """Peers, mail hosts, resolver, its own port 25, the prober."""
        if address.family in {AF_INET, AF_INET6}:
            return (address.host, address.port) in self.pairs | {self.dns}
        return address in {Address(AF_UNSPEC), Address(AF_UNIX, RESOLVERS_OWN)}

    def sent(self, address: Address) -> bool:
        """The resolver, and the kernel, which is asked for this machine's addresses."""
        return (address.host, address.port) == self.dns or address == Address(AF_NETLINK)


def _evidence(texts: Mapping[str, Answer], allowed: _Allowed) -> Iterator[tuple[str, Evidence]]:
    judges = {"bind": allowed.bound, "connect": allowed.opened, "sendto": allowed.sent,
              "sendmsg": allowed.sent}  # fmt: skip
    for text, one in texts.items():
        call, _, what = text.partition("\t")
        if call in judges:
            address = parse(what)
            if judges[call](address):
                continue
            kind, shown = ("datagram" if call.startswith("send") else "socket"), str(address)
        elif call == "socket" and not _usual(what):
            kind, shown = "socket", f"family, type, protocol {what}"
        elif call == "listen" and what != BACKLOG:
            kind, shown = "option", f"a queue of {what} connections"
        elif call == "setsockopt" and what not in allowed.options:
            kind, shown = "option", f"level, name, value {what}"
        elif call == "sendmmsg":
            kind, shown = "datagram", what
        else:
            continue
        yield (
            kind,
            Evidence(call, f"{excerpt(shown)}, {one['count']} times", Context(process=caller(one))),
        )


def _usual(what: str) -> bool:
    """TCP and UDP; the C library's questions to nscd and, about addresses, to the kernel."""
    family, type_, protocol = map(int, what.split())
    plain = type_ & 0xF
    return (
        (family in {AF_INET, AF_INET6} and plain in {1, 2} and protocol in {0, 6, 17})
        or (family == AF_UNIX and plain == 1 and protocol == 0)
        or (family == AF_NETLINK and plain == 3 and protocol == 0)
    )
