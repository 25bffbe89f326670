"""What tshark says of a capture, as values: packets, streams, handshakes, look-ups, conversations.

Nothing here does I/O, and nothing here judges. TCP streams are put together by sequence numbers, so
that a byte sent twice counts once and a byte that is missing is known to be missing; each byte
leads back to the number of its packet.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from testbed.wire.asked import ASKED, OF_IP, OF_TCP, OF_TLS

PROTOCOLS = {"1": "icmp", "2": "igmp", "6": "tcp", "17": "udp", "58": "icmpv6"}
GROUPS = {
    23: "secp256r1", 24: "secp384r1", 25: "secp521r1", 29: "x25519", 30: "x448",
    256: "ffdhe2048", 257: "ffdhe3072", 258: "ffdhe4096",
    4587: "SecP256r1MLKEM768", 4588: "X25519MLKEM768", 4589: "SecP384r1MLKEM1024",
}  # fmt: skip
"""TLS supported groups (IANA) with a name here: all are ephemeral (EC)DH or hybrids."""

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
CLIENT_HELLO, SERVER_HELLO = 1, 2
TIMESTAMPS, TIMESTAMPS_BYTES = "8", 12
"""The kind of TCP option that each packet has then, and what it takes (RFC 7323, 3.2)."""


@dataclass(frozen=True)
class Hello:
    """A ClientHello or ServerHello: what TLS 1.3 shows of a handshake to whoever listens."""

    frame: int
    kind: int
    versions: tuple[int, ...]
    """Offered or chosen; 0x0304 is TLS 1.3. From supported_versions, else the old version field."""
    groups: tuple[str, ...]
    shares: tuple[str, ...]
    """SHA-256 of each key share, hex."""
    extensions: tuple[int, ...]
    chosen: tuple[str, ...] = ()
    """Values of OF_TLS."""


@dataclass(frozen=True)
class Packet:
    """One captured packet."""

    frame: int
    time: float
    """Seconds since 1970."""
    mac: str
    target_mac: str
    source: str
    target: str
    protocol: str
    """`tcp`, `udp`, `icmp`, `icmpv6`, `igmp`, `ip N` or `ethernet 0xNNNN`."""
    source_port: int = 0
    target_port: int = 0
    payload: bytes = b""
    stream: int = -1
    sequence: int = 0
    flags: int = 0
    icmp_type: int = -1
    query: tuple[str, int] | None = None
    """A DNS query's name and type; not for answers."""
    hello: Hello | None = None
    chosen: tuple[str, ...] = ()
    """Values of OF_IP (for TCP and UDP), of SYN and SYN-ACK those of OF_TCP behind them."""
    opened: bool = False
    """tshark has the keys of its connection: it read a Finished, which is encrypted."""


@dataclass(frozen=True)
class Bytes:
    """One direction of a stream. Holes are filled with zeros, and listed."""

    data: bytes = b""
    starts: tuple[int, ...] = ()
    frames: tuple[int, ...] = ()
    holes: tuple[tuple[int, int], ...] = ()

    def frame(self, offset: int) -> int:
        """The packet that brought the byte at `offset`; 0 if none did."""
        index = bisect_right(self.starts, offset) - 1
        return self.frames[index] if index >= 0 else 0


@dataclass(frozen=True)
class Stream:
    """A TCP connection: who opened it, and what went each way."""

    number: int
    client: str
    client_port: int
    server: str
    server_port: int
    frame: int
    packets: int
    sent: Bytes
    received: Bytes
    hellos: tuple[Hello, ...] = ()
    ends: tuple[int, int] = (0, 0)
    """The first packet in which the client hangs up (FIN or RST), and the server; 0 for none."""
    segment: int = 0
    """Bytes that TCP has agreed to put in a packet on the wire, options aside; 0 if unknown."""
    pushed: frozenset[int] = frozenset()
    """The packets of both ends with PSH."""


@dataclass(frozen=True)
class Query:
    """A DNS query."""

    frame: int
    time: float
    client: str
    server: str
    name: str
    type: int


@dataclass(frozen=True)
class Conversation:
    """Two ends that exchanged packets, seen from the one that began."""

    protocol: str
    source: str
    source_port: int
    target: str
    target_port: int
    frame: int
    packets: int
    payload: bytes
    """The first payload that the beginning end sent (for TCP, of the whole stream)."""
    mac: str = ""
    icmp_type: int = -1


@dataclass(frozen=True)
class Wire:
    """A dissected capture. `trouble` says why it can't be trusted, if it can't."""

    packets: tuple[Packet, ...] = ()
    streams: tuple[Stream, ...] = ()
    conversations: tuple[Conversation, ...] = ()
    queries: tuple[Query, ...] = ()
    trouble: str = field(default="")


def parse(lines: Iterable[str]) -> list[Packet]:
    """tshark's rows of ASKED, tab separated, several values of a field with commas."""
    return [_packet(dict(zip(ASKED, line.rstrip("\n").split("\t"), strict=True))) for line in lines]


def wire(packets: Sequence[Packet], trouble: str = "") -> Wire:
    """Streams, conversations and look-ups from packets in the order of their numbers."""
    streams = _streams(packets)
    queries = tuple(
        Query(p.frame, p.time, p.source, p.target, *p.query) for p in packets if p.query is not None
    )
    return Wire(tuple(packets), streams, _conversations(packets, streams), queries, trouble)


def assemble(segments: Iterable[tuple[int, int, bytes]]) -> Bytes:
    """One direction's bytes from (offset, frame, payload); what came first at an offset stands."""
    pieces: list[bytes] = []
    starts, frames, holes = [], [], []
    at = 0
    for offset, frame, payload in sorted(segments, key=lambda s: s[:2]):
        new = payload[max(0, at - offset) :]
        if not new:
            continue
        start = max(at, offset)
        if start > at:
            holes.append((at, start))
            pieces.append(bytes(start - at))
        pieces.append(new)
        starts.append(start)
        frames.append(frame)
        at = start + len(new)
    return Bytes(b"".join(pieces), tuple(starts), tuple(frames), tuple(holes))


def _packet(row: dict[str, str]) -> Packet:
    def first(name: str) -> str:
        # An ICMP error quotes the packet it is about: the first value is the packet's own.
        return row[name].partition(",")[0]

    number = first("ip.proto")
    protocol = PROTOCOLS.get(number, f"ip {number}") if number else f"ethernet {first('eth.type')}"
    if not number and first("ipv6.src"):
        protocol = "ip 6"
        for name, telling in (
            ("tcp", "tcp.srcport"), ("udp", "udp.srcport"), ("icmpv6", "icmpv6.type"),
        ):  # fmt: skip
            if row[telling]:
                protocol = name
    ports = protocol if protocol in {"tcp", "udp"} else ""
    is_query = row["dns.qry.name"] and first("dns.flags.response") in {"0", "False"}
    flags = int(first("tcp.flags"), 16) if ports == "tcp" and row["tcp.flags"] else 0
    return Packet(
        frame=int(row["frame.number"]),
        time=float(row["frame.time_epoch"]),
        mac=first("eth.src"),
        target_mac=first("eth.dst"),
        source=first("ip.src") or first("ipv6.src"),
        target=first("ip.dst") or first("ipv6.dst"),
        protocol=protocol,
        source_port=int(first(f"{ports}.srcport") or 0) if ports else 0,
        target_port=int(first(f"{ports}.dstport") or 0) if ports else 0,
        payload=bytes.fromhex(first(f"{ports}.payload" if ports else "data.data")),
        stream=int(first("tcp.stream")) if ports == "tcp" and row["tcp.stream"] else -1,
        sequence=int(first("tcp.seq_raw")) if ports == "tcp" and row["tcp.seq_raw"] else 0,
        flags=flags,
        icmp_type=int(first("icmp.type") or first("icmpv6.type") or -1),
        query=(first("dns.qry.name"), int(first("dns.qry.type") or 0)) if is_query else None,
        hello=_hello(row),
        chosen=_values(row, OF_IP + OF_TCP if flags & SYN else OF_IP) if ports else (),
        opened=bool(row["tls.handshake.verify_data"]),
    )


def _values(row: dict[str, str], names: Sequence[str]) -> tuple[str, ...]:
    return tuple(row[name] for name in names)


def _hello(row: dict[str, str]) -> Hello | None:
    kinds = {int(kind) for kind in row["tls.handshake.type"].split(",") if kind}
    kind = next((k for k in (CLIENT_HELLO, SERVER_HELLO) if k in kinds), None)
    if kind is None:
        return None

    def numbers(name: str) -> tuple[int, ...]:
        return tuple(int(value, 0) for value in row[name].split(",") if value)

    groups = numbers("tls.handshake.extensions_key_share_group")
    shares = row["tls.handshake.extensions_key_share_key_exchange"].split(",")
    return Hello(
        frame=int(row["frame.number"]),
        kind=kind,
        versions=numbers("tls.handshake.extensions.supported_version")
        or numbers("tls.handshake.version"),
        groups=tuple(GROUPS.get(group, f"group {group}") for group in groups),
        shares=tuple(hashlib.sha256(bytes.fromhex(s)).hexdigest() for s in shares if s),
        extensions=numbers("tls.handshake.extension.type"),
        chosen=_values(row, OF_TLS),
    )


def _streams(packets: Sequence[Packet]) -> tuple[Stream, ...]:
    by_number: dict[int, list[Packet]] = defaultdict(list)
    for packet in packets:
        if packet.stream >= 0:
            by_number[packet.stream].append(packet)
    return tuple(_stream(number, own) for number, own in sorted(by_number.items()))


def _stream(number: int, packets: Sequence[Packet]) -> Stream:
    syn = next((p for p in packets if p.flags & (SYN | ACK) == SYN), None)
    # Without its beginning: the end with the lower port is the one that was called.
    first = syn or packets[0]
    ends = [(first.source, first.source_port), (first.target, first.target_port)]
    if syn is None and first.source_port < first.target_port:
        ends.reverse()
    (client, client_port), (server, server_port) = ends
    ways = [
        [p for p in packets if (p.source, p.source_port) == end]
        for end in ((client, client_port), (server, server_port))
    ]
    return Stream(
        number, client, client_port, server, server_port, packets[0].frame, len(packets),
        _direction(ways[0]), _direction(ways[1]), tuple(p.hello for p in packets if p.hello),
        (_hangs_up(ways[0]), _hangs_up(ways[1])), _segment(packets),
        frozenset(p.frame for p in packets if p.flags & PSH),
    )  # fmt: skip


def _segment(packets: Sequence[Packet]) -> int:
    offers = [
        dict(zip((*OF_IP, *OF_TCP), p.chosen, strict=False)) for p in packets if p.flags & SYN
    ]
    sizes = [int(offer.get("tcp.options.mss_val") or 0) for offer in offers]
    stamped = all(TIMESTAMPS in offer.get("tcp.option_kind", "").split(",") for offer in offers)
    return max(0, min(sizes, default=0) - (TIMESTAMPS_BYTES if stamped else 0))


def _hangs_up(packets: Sequence[Packet]) -> int:
    return next((p.frame for p in packets if p.flags & (FIN | RST)), 0)


def _direction(packets: Sequence[Packet]) -> Bytes:
    carrying = [p for p in packets if p.payload]
    if not carrying:
        return Bytes()
    syn = next((p for p in packets if p.flags & SYN), None)
    base = (syn.sequence + 1 if syn else carrying[0].sequence) & 0xFFFFFFFF
    segments = []
    for packet in carrying:
        offset = (packet.sequence - base) & 0xFFFFFFFF
        if offset < 1 << 31:  # else it lies before the beginning: a keep-alive probe
            segments.append((offset, packet.frame, packet.payload))
    return assemble(segments)


def _conversations(
    packets: Sequence[Packet], streams: Sequence[Stream]
) -> tuple[Conversation, ...]:
    macs = {p.frame: p.mac for p in packets}
    found = [
        Conversation(
            "tcp", s.client, s.client_port, s.server, s.server_port, s.frame, s.packets,
            s.sent.data[:80] or s.received.data[:80], macs.get(s.frame, ""),
        )
        for s in streams
    ]  # fmt: skip
    others: dict[tuple[object, ...], list[Packet]] = defaultdict(list)
    for p in packets:
        if p.stream < 0:
            # With the hardware addresses: a packet under a false address is not its owner's.
            ends = frozenset({(p.source, p.source_port), (p.target, p.target_port)})
            others[(p.protocol, p.icmp_type, ends, frozenset({p.mac, p.target_mac}))].append(p)
    found += [_others(own) for own in others.values()]
    return tuple(sorted(found, key=lambda c: c.frame))


def _others(packets: Sequence[Packet]) -> Conversation:
    first = packets[0]
    return Conversation(
        first.protocol, first.source, first.source_port, first.target, first.target_port,
        first.frame, len(packets), first.payload[:80], first.mac, first.icmp_type,
    )  # fmt: skip
