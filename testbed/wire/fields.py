"""wire-fields: what a node could choose in IP, TCP and TLS is the same each time. Pure.

Values that are random by protocol are left out: sequence numbers, timestamps, TLS randoms, session
IDs and key shares. Source ports are the kernel's: even ones of its range (Linux: a client's are).
Who binds one of these himself is seen by silent-sockets; which one the kernel gave is not judged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from testbed.topology import Link, Node
from testbed.verdict import Control, Finding, judge
from testbed.wire.asked import OF_IP, OF_TCP, OF_TLS
from testbed.wire.edges import MAIL_PORT, Edges, Told, usual
from testbed.wire.packets import ACK, CLIENT_HELLO, FIN, PSH, RST, SERVER_HELLO, SYN, Packet

PORTS = range(32768, 61000)
"""Linux's ip_local_port_range."""

GOES_ON_SECONDS = 0.005
"""So soon after a packet comes the next one of the same words on port 25."""

ODD = frozenset(
    [
        "ip.ttl", "ip.dsfield", "tcp.options.mss_val", "tcp.window_size_value", "source port",
        "tcp.flags.push",
    ]
)  # fmt: skip
"""In what the prober's odd connections differ, one each (probe_agent.be_odd)."""


@dataclass(frozen=True)
class Shown:
    """The values that one packet has of what could be chosen."""

    frame: int
    what: str
    """Only what is of the same sort is compared: SYN, hello, ..."""
    names: tuple[str, ...]
    values: tuple[str, ...]


@dataclass(frozen=True)
class Odd:
    """One value that is not the usual one."""

    frame: int
    what: str
    name: str
    value: str
    instead: str

    @property
    def told(self) -> Told:
        """As evidence."""
        return self.frame, f"{self.what}: {self.name} {self.value}, else {self.instead}"


def findings(edges: Edges) -> list[Finding]:
    """The row wire-fields of every node."""
    return [_row(edges, node) for node in edges.topology.remailers]


def _row(edges: Edges, node: Node) -> Finding:
    prober = edges.topology.prober
    to_it = [p for p in edges.wire.packets if (p.source, p.target) == (prober, node.host)]
    # A kernel answers a connection that it resets with the other's fields.
    odd_ones = {p.stream for p in to_it if p.flags & SYN} - {-1}
    own = [p for p in edges.packets(node) if not (p.flags & RST and p.stream in odd_ones)]
    bad = [*told_apart(own), *not_pushed(edges, own)]
    twins = [
        *told_apart([p for p in to_it if p.flags & SYN or p.hello]),
        *not_pushed(edges, to_it),
    ]
    syns = [p for p in own if p.flags & (SYN | ACK) == SYN]
    taken = [p for p in own if p.flags & (SYN | ACK) == SYN | ACK]
    found = {odd.name for odd in twins if odd.what in {"SYN", "connections", "port 25"}} & ODD
    controls = [
        edges.whole,
        Control("connections that it began are seen", bool(syns), f"{len(syns)}"),
        Control("and connections that it took", len(taken) > 0, f"{len(taken)}"),
        Control(
            f"the prober's connections to it, odd in {', '.join(sorted(ODD))}, are told apart",
            found == ODD, ", ".join(sorted(found)),
        ),
    ]  # fmt: skip
    hellos = [p for p in own if p.hello]
    if hellos:
        kinds = {p.hello.kind for p in hellos if p.hello}
        # Where links speak no TLS, it does so only when it is asked to, on port 25.
        links = edges.topology.link in {Link.TLS, Link.CELLS}
        wanted = {CLIENT_HELLO, SERVER_HELLO} if links else set()
        odd_hello = next((odd for odd in twins if odd.what == "ClientHello"), None)
        controls += [
            Control("its hellos are seen, of both sorts if links speak TLS", kinds >= wanted),
            Control(
                "the prober's hellos to it, of TLS 1.2 and 1.3, are told apart",
                odd_hello is not None, f"frame {odd_hello.frame}" if odd_hello else "",
            ),
        ]  # fmt: skip
    return judge(
        "wire-fields", node.name,
        looked_at=f"{len(own):,} packets from it, {len(syns)} connections that it began, "
        f"{len(hellos)} hellos",
        controls=controls,
        evidence=edges.evidence(odd.told for odd in bad), kind="field",
    )  # fmt: skip


def told_apart(packets: Sequence[Packet]) -> Iterator[Odd]:
    """Whatever is not as usual in one sender's packets."""
    groups: dict[str, list[Shown]] = defaultdict(list)
    for p in packets:
        for shown in _shown(p):
            groups[shown.what].append(shown)
    for group in groups.values():
        yield from _odd(group)
    for p in packets:
        if p.flags & (SYN | ACK) == SYN and (p.source_port not in PORTS or p.source_port % 2):
            instead = f"an even one from {PORTS.start} to {PORTS.stop - 1}"
            yield Odd(p.frame, "connections", "source port", str(p.source_port), instead)
        if p.payload and p.flags & ~(ACK | PSH | FIN):
            instead = "none but ACK, PSH and FIN"
            yield Odd(p.frame, "tcp packets with data", "tcp.flags", f"{p.flags:#06x}", instead)


def not_pushed(edges: Edges, own: Sequence[Packet]) -> list[Odd]:
    """What one sender says on port 25 without PSH at its end, if more than once.

    A kernel sets it where what it was given ends, and cuts that only between segments.
    """
    sizes = {p.frame: len(p.payload) for p in own}
    odd = []
    for s in edges.wire.streams if sizes else ():
        frames = sorted({*s.sent.frames, *s.received.frames}) if s.server_port == MAIL_PORT else []
        for frame, later in pairwise((*frames, 0)):
            soon = later in sizes and edges.times[later] - edges.times[frame] <= GOES_ON_SECONDS
            ends = s.segment and sizes.get(frame, 0) % s.segment and not soon
            if ends and frame not in s.pushed:
                odd.append(Odd(frame, "port 25", "tcp.flags.push", "0", "1"))
    return odd if len(odd) > 1 else []


def _shown(p: Packet) -> Iterator[Shown]:
    if p.chosen:
        yield Shown(p.frame, f"{p.protocol} packets", OF_IP, p.chosen[: len(OF_IP)])
    if p.flags & SYN:
        what = f"SYN-ACK of port {p.source_port}" if p.flags & ACK else "SYN"
        # Of a SYN the identification is random, of a SYN-ACK it is 0.
        left_out = () if p.flags & ACK else ("ip.id",)
        kept = [
            (name, value)
            for name, value in zip(OF_TCP, p.chosen[len(OF_IP) :], strict=False)
            if name not in left_out
        ]
        both = [*kept, *zip(OF_IP, p.chosen, strict=False)]
        yield Shown(p.frame, what, tuple(n for n, _ in both), tuple(v for _, v in both))
    if p.hello:
        client = p.hello.kind == CLIENT_HELLO
        what = "ClientHello" if client else f"ServerHello of port {p.source_port}"
        yield Shown(p.frame, what, OF_TLS, p.hello.chosen)


def _odd(group: Sequence[Shown]) -> Iterator[Odd]:
    most = usual(shown.values for shown in group)
    for shown in group:
        if most is not None and shown.values != most:
            for name, value, instead in zip(shown.names, shown.values, most, strict=False):
                if value != instead:
                    yield Odd(shown.frame, shown.what, name, value or "none", instead or "none")
