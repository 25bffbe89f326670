"""Claim `no-way-out`: a node has routes into its web's network and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from testbed.run import Run
from testbed.verdict import Control, Evidence, Finding, judge
from testbed.witness.inside import ask, unseen

_REJECT = 0x0200
"""RTF_REJECT (linux/route.h): nothing gets out by such a route."""

_LOCAL = (ip_network("fe80::/10"), ip_network("ff00::/8"), ip_network("::1/128"))
"""What of IPv6 never leaves the link."""


@dataclass(frozen=True)
class Route:
    """One route; `gateway` is empty for a network that is reached directly."""

    target: IPv4Network | IPv6Network
    gateway: str
    interface: str

    @property
    def default(self) -> bool:
        """Whether everything may go this way."""
        return self.target.prefixlen == 0


def parse_ipv4(table: str) -> Iterator[Route]:
    """/proc/net/route: a heading, then `eth0 00C1 0000 0001 ...`, numbers in the host's order."""
    for line in table.splitlines()[1:]:
        fields = line.split()
        flags = int(fields[3], 16)
        target, gateway, mask = (bytes.fromhex(fields[i])[::-1] for i in (1, 2, 7))
        if not flags & _REJECT:
            prefix = int.from_bytes(mask, "big").bit_count()
            via = ".".join(map(str, gateway)) if any(gateway) else ""
            yield Route(IPv4Network((target, prefix)), via, fields[0])


def parse_ipv6(table: str) -> Iterator[Route]:
    """/proc/net/ipv6_route: target, length, source, length, next hop, ..., flags, interface."""
    for line in table.splitlines():
        fields = line.split()
        gateway = fields[4] if fields[4].strip("0") else ""
        if not int(fields[8], 16) & _REJECT:
            target = IPv6Network((bytes.fromhex(fields[0]), int(fields[1], 16)))
            yield Route(target, gateway, fields[9])


def findings(run: Run) -> list[Finding]:
    """A row a node; the mail hosts, which are on a second network, are the control."""
    topology = run.web.topology
    hosts = [host.name for host in topology.mailhosts]
    nodes = [node.name for node in topology.remailers]
    answers = ask(run, "routes", [*nodes, *hosts])
    tables = {
        name: [*parse_ipv4(told["ipv4"]), *parse_ipv6(told["ipv6"])]
        for name, told in answers.items()
        if "why" not in told
    }
    controls = [_control(host, tables.get(host, [])) for host in hosts]
    net = IPv4Network(f"{topology.net}.0/24")
    return [
        _row(node, tables[node], net, controls)
        if node in tables
        else unseen("no-way-out", node, answers[node]["why"])
        for node in nodes
    ]


def _control(host: str, routes: list[Route]) -> Control:
    way = next((route for route in routes if route.default), None)
    where = f"default via {way.gateway} on {way.interface}" if way else ""
    return Control(f"{host}'s default route is seen", way is not None, where)


def _row(node: str, routes: list[Route], net: IPv4Network, controls: list[Control]) -> Finding:
    own = next((route for route in routes if route.target == net), None)
    seen = Control("its route into the web is seen", own is not None, own.interface if own else "")
    return judge(
        "no-way-out",
        node,
        looked_at=f"{len(routes)} routes",
        controls=[seen, *controls],
        evidence=[
            Evidence(
                "/proc/net/route"
                if isinstance(route.target, IPv4Network)
                else "/proc/net/ipv6_route",
                f"{route.target} via {route.gateway or 'no gateway'} on {route.interface}",
            )
            for route in routes
            if not _stays(route, net)
        ],
        kind="route",
    )


def _stays(route: Route, net: IPv4Network) -> bool:
    """Whether whoever goes this way is still in the web."""
    if route.interface == "lo":
        return True
    if isinstance(route.target, IPv4Network):
        return route.target == net and not route.gateway
    return any(route.target.subnet_of(local) for local in _LOCAL if isinstance(local, IPv6Network))
