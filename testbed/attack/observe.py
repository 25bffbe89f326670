"""From a dissected capture to what W saw of it: mails at the edges, transfers on the links. Pure.

W knows every protocol: where a TLS handshake ends, that a mail is the longest thing that a client
says in one go, and what an envelope looks like wherever it can be read.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from testbed.attack.observation import SMALLEST, Entry, Exit, Link, Observation, Transfer
from testbed.topology import Topology
from testbed.wire.packets import Bytes, Stream, Wire
from testbed.wire.records import after_handshake, answers_after_handshake

_SENDER = re.compile(rb"^MAIL FROM:<([^<>\r\n]*)>", re.IGNORECASE | re.MULTILINE)
_RECIPIENT = re.compile(rb"^RCPT TO:<([^<>\r\n]*)>", re.IGNORECASE | re.MULTILINE)
ENVELOPE = 4096
"""Bytes before a mail in which its envelope stands."""


def observe(wire: Wire, topology: Topology) -> Observation:
    """All that W saw of the web, as long as there was anything to see."""
    nodes = {node.host: node.name for node in topology.remailers}
    users = {guest.host: guest.name for guest in topology.guests}
    lines = [way for g in topology.guests for way in ((g.name, g.path[0]), (g.path[0], g.name))]
    hosts = {host.host for host in topology.mailhosts}
    times = {packet.frame: packet.time for packet in wire.packets}
    links: dict[Link, list[Transfer]] = {(a.name, b.name): [] for a, b in topology.links}
    entries: list[Entry] = []
    exits: list[Exit] = []
    for stream in wire.streams:
        ends = nodes.get(stream.client), nodes.get(stream.server)
        said = list(sent(stream, times))
        if ends[0] and ends[1]:
            links[ends[0], ends[1]] += [one for _, one in said]
            links[ends[1], ends[0]] += [one for _, one in answered(stream, times)]
        elif ends[1] and stream.client in hosts and stream.server_port == 25:
            entries += [Entry(ends[1], _named(_SENDER, stream, at), one) for at, one in said]
        elif ends[1] and stream.client in users:
            entries += [Entry(ends[1], users[stream.client], one) for _, one in said]
        elif ends[0] and stream.server in hosts and stream.server_port == 25:
            exits += [Exit(ends[0], _named(_RECIPIENT, stream, at), one) for at, one in said]
    packets: dict[Link, list[tuple[float, int]]] = defaultdict(list)
    ends_of_lines = nodes | users
    for packet in wire.packets:
        between = ends_of_lines.get(packet.source), ends_of_lines.get(packet.target)
        if packet.payload and between[0] and between[1]:
            packets[between[0], between[1]].append((packet.time, len(packet.payload)))
    return Observation(
        tuple(nodes.values()),
        tuple(sorted(entries, key=lambda one: one.mail.end)),
        {link: tuple(sorted(found, key=lambda t: t.start)) for link, found in links.items()},
        tuple(sorted(exits, key=lambda one: one.mail.end)),
        {link: tuple(packets[link]) for link in (*links, *lines)},
        (min(times.values(), default=0.0), max(times.values(), default=0.0)),
    )


def transfers(
    way: Bytes, other: Bytes, pieces: list[tuple[int, int]], times: dict[int, float]
) -> Iterator[tuple[int, Transfer]]:
    """What one side said that is long enough for a mail, each with its offset in the stream."""
    heard = sorted({times[frame] for frame in other.frames})
    part: list[tuple[float, int, int]] = []
    for at, size in pieces:
        time = times[way.frame(at + size - 1)]
        if part and bisect_right(heard, part[-1][0]) != bisect_right(heard, time):
            yield from _whole(way, part)
            part = []
        part.append((time, at, size))
    yield from _whole(way, part)


def sent(stream: Stream, times: dict[int, float]) -> Iterator[tuple[int, Transfer]]:
    """What the client said."""
    yield from transfers(
        stream.sent, stream.received, _pieces(stream.sent, after_handshake(stream)), times
    )


def answered(stream: Stream, times: dict[int, float]) -> Iterator[tuple[int, Transfer]]:
    """What the server said: of SMTP nothing is long enough."""
    yield from transfers(
        stream.received, stream.sent,
        _pieces(stream.received, answers_after_handshake(stream)), times,
    )  # fmt: skip


def _pieces(way: Bytes, sealed: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """(offset, bytes) of each TLS record behind the handshake, or of each segment."""
    if way.data[:1] == b"\x16":
        return [(at, size) for at, size in sealed if size]
    return [(start, end - start) for start, end in pairwise([*way.starts, len(way.data)])]


def _whole(way: Bytes, part: list[tuple[float, int, int]]) -> Iterator[tuple[int, Transfer]]:
    size = sum(size for _, _, size in part)
    if size >= SMALLEST:
        (start, first, _), (end, last, length) = part[0], part[-1]
        yield first, Transfer(start, end, size, way.data[first : last + length])


def _named(what: re.Pattern[bytes], stream: Stream, before: int) -> str:
    """The last envelope address that the client named before this mail."""
    found = list(what.finditer(stream.sent.data, max(0, before - ENVELOPE), before))
    return found[-1][1].decode("ascii", "replace") if found else ""
