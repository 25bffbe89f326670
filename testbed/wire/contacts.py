"""Whom each node talks to, and whether it talks to a syslog. Pure: rows in, findings out.

Not a contact are ARP, IGMP, ICMPv6 of neighbours, routers and groups, and ICMP but for echo
requests: kernels send them by themselves, and an unprivileged process can't. UDP is never passed
over. A node is known by its address or by its hardware address, whatever others it uses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from testbed.hexdump import dump
from testbed.topology import Link, Node, Topology
from testbed.verdict import Control, Evidence, Finding, judge, some
from testbed.wire.capture import DNS_TWIN, SYSLOG_TWIN
from testbed.wire.digests import Trail
from testbed.wire.frames import Frames, shown
from testbed.wire.identities import PROBE_PORTS
from testbed.wire.packets import Conversation, Packet, Wire

DevLog = tuple[Sequence[Evidence], Sequence[Control]]
"""What was found of a node's /dev/log from outside, and the controls of that search."""

SYSLOG_PORTS = (514, 601, 6514)
"""syslog over UDP (RFC 5426), TCP (RFC 6587) and TLS (RFC 5425)."""

_ARP = "ethernet 0x0806"
_ECHO_REQUEST = 8
_KERNELS_OWN = frozenset({130, 131, 132, 133, 134, 135, 136, 137, 143})
"""ICMPv6: groups (RFC 2710, RFC 3810), routers, neighbours and redirects (RFC 4861)."""


def noise(c: Conversation | Packet) -> bool:
    """What kernels say to each other by themselves."""
    return (
        c.protocol in {_ARP, "igmp"}
        or (c.protocol == "icmpv6" and c.icmp_type in _KERNELS_OWN)
        or (c.protocol == "icmp" and c.icmp_type != _ECHO_REQUEST)
    )


def told(c: Conversation, frames: Frames) -> Evidence:
    """A conversation as evidence: packet number, protocol, both ends, first bytes."""
    source, target = frames.whois(c.source) or c.mac, frames.whois(c.target) or "all"
    port = f" port {c.target_port}" if c.target_port else ""
    said = f": {shown(c.payload)}" if c.payload else ""
    what = f"{c.protocol} from {source} to {target}{port}{said}"
    return frames.told(c.frame, what, dump(c.payload))


def findings(
    wire: Wire,
    topology: Topology,
    trails: Mapping[str, Trail],
    whole: Control,
    dev_log: Mapping[str, DevLog],
) -> list[Finding]:
    """The rows `contacts` and `silent-syslog` of every node."""
    macs = hardware(wire.packets)
    frames = Frames(wire.packets, topology)
    rows = [
        _contacts(wire, topology, trails[node.name], node, whole, macs, frames)
        for node in topology.remailers
    ]
    for node in topology.remailers:
        rows.append(_syslog(wire, node, whole, macs, dev_log.get(node.name), frames))
    return rows


def hardware(packets: Sequence[Packet]) -> dict[str, str]:
    """IP address → the hardware address that most of its packets came from."""
    seen = Counter((p.source, p.mac) for p in packets if p.source)
    owners: dict[str, str] = {}
    for (source, mac), _ in seen.most_common():
        owners.setdefault(source, mac)
    return owners


def owners(packets: Sequence[Packet], topology: Topology) -> dict[str, str]:
    """An address that nobody was given → the address of the remailer whose hardware used it."""
    macs = hardware(packets)
    hosts = {macs[node.host]: node.host for node in topology.remailers if node.host in macs}
    known = {node.host for node in topology.remailers} | {m.host for m in topology.mailhosts}
    known |= {topology.dns, topology.prober}
    return {ip: hosts[mac] for ip, mac in macs.items() if ip not in known and mac in hosts}


def _twin(payload: bytes, mac: str, node: Node, macs: Mapping[str, str]) -> bool:
    """A control's datagram: under the node's address, but it did not come from the node."""
    name = node.name.encode()
    ours = payload.startswith(SYSLOG_TWIN + name) or DNS_TWIN.encode() + name in payload[:80]
    return ours and mac != macs.get(node.host)


def _allowed(c: Conversation, topology: Topology) -> bool:
    """Is this a conversation that a remailer may have? Replies belong to who began."""
    nodes = {n.host for n in topology.remailers}
    hosts = {m.host for m in topology.mailhosts}
    by_tcp, link_port = c.protocol == "tcp", topology.link.port
    return (
        # What the prober is told as a stranger or a peer is the active probes' own claim.
        (by_tcp and c.target_port == link_port and c.source == topology.prober)
        or (by_tcp and c.target_port in PROBE_PORTS and c.target == topology.prober)
        or (by_tcp and c.target_port == link_port and {c.source, c.target} <= nodes)
        or (by_tcp and c.target_port == 25 and c.source in nodes and c.target in hosts)
        # Anybody may hand mail to a remailer, but for another remailer.
        or (by_tcp and c.target_port == 25 and c.source not in nodes and c.target in nodes)
        or (c.protocol in {"udp", "tcp"} and c.target_port == 53 and c.target == topology.dns)
    )


def _contacts(
    wire: Wire,
    topology: Topology,
    trail: Trail,
    node: Node,
    whole: Control,
    macs: Mapping[str, str],
    frames: Frames,
) -> Finding:
    own = [
        c
        for c in wire.conversations
        if (node.host in (c.source, c.target) or c.mac == macs.get(node.host, "-"))
        and not noise(c)
        and not _twin(c.payload, c.mac, node, macs)
    ]
    # What another remailer began is that one's to answer for.
    others = {n.host for n in topology.remailers} - {node.host}
    bad = [
        told(c, frames)
        for c in own
        if not _allowed(c, topology) and not (c.source in others and c.mac == macs.get(c.source))
    ]
    for p in wire.packets:
        if p.query is not None and _from(p, node, macs) and not _twin(p.payload, p.mac, node, macs):
            bad += _marked(p.frame, p.query[0], trail, frames)
    # A link of cells is one connection, whoever opened it.
    peers = others if topology.link is Link.CELLS else set()
    begun = [c for c in own if c.source == node.host or c.source in peers]
    controls = [whole]
    for sought, ports in (
        (f"its mail to peers, port {topology.link.port}", {topology.link.port}),
        ("its mail to mail hosts, port 25", {25}),
        ("its look-ups, port 53", {53}),
    ):
        frame = next((c.frame for c in begun if c.target_port in ports), None)
        where = f"frame {frame}" if frame is not None else ""
        controls.append(Control(sought, frame is not None, where))
    packets = sum(c.packets for c in own)
    return judge(
        "contacts", node.name, looked_at=f"{len(own)} conversations, {packets:,} packets",
        controls=controls, evidence=some(bad), kind="contact",
    )  # fmt: skip


def _marked(frame: int, name: str, trail: Trail, frames: Frames) -> Iterable[Evidence]:
    """A mark in a name that is looked up, also one that goes on from label to label."""
    texts = {name.encode(), name.replace(".", "").encode()}
    hits = [hit for text in sorted(texts) for hit in trail.search(text)]
    if hits:
        yield frames.told(frame, f"look-up of {name}: {hits[0].mark} ({hits[0].form})")


def _from(p: Packet, node: Node, macs: Mapping[str, str]) -> bool:
    return p.source == node.host or p.mac == macs.get(node.host, "-")


def _syslog(
    wire: Wire,
    node: Node,
    whole: Control,
    macs: Mapping[str, str],
    dev_log: DevLog | None,
    frames: Frames,
) -> Finding:
    own = [p for p in wire.packets if _from(p, node, macs)]
    to_syslog = [p for p in own if p.target_port in SYSLOG_PORTS]
    twins = [p for p in to_syslog if _twin(p.payload, p.mac, node, macs)]
    bad = [
        frames.told(
            p.frame,
            f"{p.protocol} to {frames.whois(p.target)} port {p.target_port}: {shown(p.payload)}",
        )
        for p in to_syslog
        if p not in twins
    ]
    twin = Control(
        "a datagram under the node's address to port 514 of a mail host is seen",
        bool(twins),
        f"frame {twins[0].frame}" if twins else "",
    )
    missing = Control("the node's /dev was looked at", found=False)
    files, controls = dev_log if dev_log is not None else ((), (missing,))
    return judge(
        "silent-syslog", node.name,
        looked_at=f"{len(own):,} packets from it, and its /dev",
        controls=(whole, twin, *controls), evidence=some([*bad, *files]), kind="syslog",
    )  # fmt: skip
