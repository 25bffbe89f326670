"""What the wire shows of each directed link between remailers. Pure: rows in, findings out.

Nothing here knows what a node meant to do, only what passed. Each control belongs to its own link:
a mail on alpha>bravo vouches for alpha>bravo and for nothing else.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import pairwise

from testbed.topology import LINK_PORT, Link, Node, Topology
from testbed.traffic import Letter, trail, values
from testbed.verdict import Control, Evidence, Finding, judge, some
from testbed.wire import cells, contacts, ticks
from testbed.wire.canary import FORMS, Canaries, Hit
from testbed.wire.capture import CaptureFile
from testbed.wire.contacts import noise
from testbed.wire.digests import Digests
from testbed.wire.frames import Frames
from testbed.wire.identities import PROBE_PORTS
from testbed.wire.packets import (
    CLIENT_HELLO,
    GROUPS,
    SERVER_HELLO,
    Bytes,
    Stream,
    Wire,
    assemble,
)
from testbed.wire.records import carried, clear, inside, records

TLS13 = 0x0304
_NOTHING = Bytes()
EARLY_DATA, PRE_SHARED_KEY = 42, 41
"""Extensions of RFC 8446 that a link never has: both mean a key that was agreed earlier."""


def findings(
    wire: Wire,
    topology: Topology,
    canaries: Canaries,
    letters: Sequence[Letter],
    capture: CaptureFile,
    since: float,
) -> list[Finding]:
    """Four rows a link; of cells one more, and one a node.

    `since`: when the run began (1970).
    """
    whole = is_whole(wire, capture)
    look = _Look(wire, topology, canaries, letters, whole, since)
    asked = [look.port, look.encrypted, look.canary, look.ephemeral]
    asked += [look.paced] if topology.link is Link.CELLS else []
    rows = [row(sender, receiver) for row in asked for sender, receiver in topology.links]
    even = ticks.findings(look.flows, topology, whole) if topology.link is Link.CELLS else []
    return rows + even


def is_whole(wire: Wire, capture: CaptureFile) -> Control:
    """Whether all that was on the wire is in the capture."""
    return Control(
        "the capture is complete, nothing dropped",
        capture.complete and not wire.trouble,
        capture.why or wire.trouble,
    )


def traffic(wire: Wire, topology: Topology) -> list[tuple[str, int, int]]:
    """For each directed link: its name, TCP payload bytes both ways, packets."""
    by_ends: dict[tuple[str, str], list[Stream]] = defaultdict(list)
    for stream in wire.streams:
        by_ends[stream.client, stream.server].append(stream)
        if topology.link is Link.CELLS:  # both directions of a link share one
            by_ends[stream.server, stream.client].append(stream)
    return [
        (
            f"{a.name}>{b.name}",
            sum(len(s.sent.data) + len(s.received.data) for s in by_ends[a.host, b.host]),
            sum(s.packets for s in by_ends[a.host, b.host]),
        )
        for a, b in topology.links
    ]


class _Look:
    """One capture, asked once for each link."""

    def __init__(
        self,
        wire: Wire,
        topology: Topology,
        canaries: Canaries,
        letters: Sequence[Letter],
        whole: Control,
        since: float,
    ) -> None:
        self.since = since
        self.wire, self.topology, self.canaries, self.whole = wire, topology, canaries, whole
        self.frames = Frames(wire.packets, topology)
        self.trails = {n.name: trail(letters, canaries, n) for n in topology.remailers}
        self.matrix = {letter.path: letter for letter in letters if letter.kind == "matrix"}
        self.letters: dict[tuple[str, str], list[Letter]] = defaultdict(list)
        for letter in letters:
            for link in pairwise(letter.path):
                self.letters[link].append(letter)
        self.owners = contacts.owners(wire.packets, topology)
        self.streams: dict[tuple[str, str], list[Stream]] = defaultdict(list)
        for stream in wire.streams:
            if stream.sent.data or stream.received.data:
                self._add(stream)
                # Both directions of a link of cells share it; what isn't TLS is the caller's.
                if topology.link is Link.CELLS and stream.hellos:
                    self._add(cells.turned(stream))
        self.datagrams = self._no_streams()
        self.edges = self._marks_on_port_25()
        self.digest = self._digest_on_port_25([x for x in letters if x.kind == "direct"])
        self.shares: dict[str, set[int]] = defaultdict(set)
        for stream in wire.streams:
            for share in (share for hello in stream.hellos for share in hello.shares):
                self.shares[share].add(stream.number)

    def _add(self, stream: Stream) -> None:
        self.streams[self._ends(stream.client, stream.server)].append(stream)

    def _carried(self, stream: Stream) -> int:
        return (cells.carried if self.topology.link is Link.CELLS else carried)(stream)

    def _ends(self, source: str, target: str) -> tuple[str, str]:
        """Both ends' own addresses, whatever others (of IPv6, say) they used."""
        return self.owners.get(source, source), self.owners.get(target, target)

    def _no_streams(self) -> dict[tuple[str, str], Bytes]:
        """For each two ends, what went from one to the other outside TCP, one after the other."""
        parts: dict[tuple[str, str], list[tuple[int, int, bytes]]] = defaultdict(list)
        for p in self.wire.packets:
            if p.stream < 0 and p.payload and not noise(p):
                own = parts[self._ends(p.source, p.target)]
                at = own[-1][0] + len(own[-1][2]) if own else 0
                own.append((at, p.frame, p.payload))
        return {ends: assemble(own) for ends, own in parts.items()}

    def _marks_on_port_25(self) -> dict[tuple[str, str, str], int]:
        """(client, server, mark) → packet, for every mark that passes on port 25."""
        found: dict[tuple[str, str, str], int] = {}
        for stream in self.wire.streams:
            if stream.server_port == 25:
                for hit in self.canaries.search(stream.sent.data):
                    key = (stream.client, stream.server, hit.mark)
                    found.setdefault(key, stream.sent.frame(hit.offset))
        return found

    def _digest_on_port_25(self, direct: Sequence[Letter]) -> int:
        """The packet in which an ordinary mail's digest passes between mail hosts; 0 if none."""
        hosts = {host.host for host in self.topology.mailhosts}
        sought = Digests.of(values(direct, self.canaries))
        between = [s for s in self.wire.streams if {s.client, s.server} <= hosts]
        found = (s.sent.frame(hit.offset) for s in between for hit in sought.search(s.sent.data))
        return next(found, 0)

    def _looked(self, a: Node, b: Node) -> str:
        own = self.streams[a.host, b.host]
        sent = sum(len(s.sent.data) for s in own)
        received = sum(len(s.received.data) for s in own)
        return f"{len(own)} connections, {sent:,} bytes sent, {received:,} received"

    def _controls(self, a: Node, b: Node, *own: Control) -> tuple[Control, ...]:
        """The capture as a whole, no hole in this link's streams, and the claim's own controls."""
        holes = [
            h for s in self.streams[a.host, b.host] for h in (*s.sent.holes, *s.received.holes)
        ]
        no_hole = Control("every byte of the link's connections was captured", not holes)
        return (self.whole, no_hole, *own)

    def _mail_seen(self, a: Node, b: Node, seen: int, what: str) -> Control:
        """At least as many bytes passed, handshakes aside, as the link's mails have in all."""
        letters = self.letters[a.name, b.name]
        if (a.name, b.name) not in self.matrix:
            return Control(f"a mail over {a.name}>{b.name}", found=False, where="none was sent")
        size = sum(len(letter.body) for letter in letters)
        return Control(
            f"at least as many bytes as its {len(letters)} mails have ({size:,}; handshakes not "
            f"counted) are seen {what}, and all arrived",
            seen >= size and all(letter.delivered for letter in letters),
            f"{seen:,} bytes",
        )

    # -- the claims ---------------------------------------------------------------------------

    def port(self, a: Node, b: Node) -> Finding:
        """link-port."""
        own = [s for s in self.streams[a.host, b.host] if s.server_port == LINK_PORT]
        peers = {n.host for n in self.topology.remailers} | {self.topology.prober}
        bad = []
        for c in self.wire.conversations:
            on_port = c.protocol == "tcp" and c.target_port == LINK_PORT
            between = self._ends(c.source, c.target) == (a.host, b.host)
            strange = on_port and (
                (c.target == b.host and c.source not in peers)
                or (c.source == a.host and c.target not in peers)
            )
            if strange or (between and not on_port and not noise(c)):
                bad.append(contacts.told(c, self.frames))
        seen = self._mail_seen(a, b, sum(map(self._carried, own)), f"on port {LINK_PORT}")
        return judge(
            "link-port", f"{a.name}>{b.name}", looked_at=self._looked(a, b),
            controls=self._controls(a, b, seen), evidence=some(bad), kind="port",
        )  # fmt: skip

    def encrypted(self, a: Node, b: Node) -> Finding:
        """link-encrypted."""
        own = self.streams[a.host, b.host]
        bad = [self.frames.at(way, at, "in clear: ") for s in own for way, at in clear(s)]
        bad += [e for s in own for e in self._wrong_version(s)]
        if loose := self.datagrams.get((a.host, b.host)):
            bad.append(self.frames.at(loose, 0, "outside TCP: "))
        sealed = self._carried if self.topology.link is Link.CELLS else inside
        seen = self._mail_seen(a, b, sum(map(sealed, own)), "in TLS records")
        return judge(
            "link-encrypted", f"{a.name}>{b.name}", looked_at=self._looked(a, b),
            controls=self._controls(a, b, seen), evidence=some(bad), kind="clear",
        )  # fmt: skip

    def canary(self, a: Node, b: Node) -> Finding:
        """link-canary."""
        own = self.streams[a.host, b.host]
        bad = [
            self.frames.marked(way.frame(hit.offset), hit)
            for way, who in self._ways(a, b)
            for hit in self.marks[who.name, id(way)]
        ]
        seen = self._mail_seen(a, b, sum(map(self._carried, own)), "on the link")
        return judge(
            "link-canary", f"{a.name}>{b.name}",
            looked_at=f"{len(FORMS)} forms in " + self._looked(a, b),
            controls=self._controls(a, b, seen, *self._found_on_edges(a, b)),
            evidence=some(bad), kind="clear",
        )  # fmt: skip

    def _ways(self, a: Node, b: Node) -> list[tuple[Bytes, Node]]:
        """All bytes between two nodes on a's account, and who sent them."""
        own = self.streams[a.host, b.host]
        ways = [(s.sent, a) for s in own] + [(s.received, b) for s in own]
        return [*ways, (self.datagrams.get((a.host, b.host), _NOTHING), a)]

    @cached_property
    def marks(self) -> dict[tuple[str, int], list[Hit]]:
        """What the search finds in each way, all links at once: on `cells` they are 50 MB and more.

        By sender and the way's id(); once where both directions of a link share a connection.
        """
        ways = {
            (who.name, id(way)): way.data
            for a, b in self.topology.links
            for way, who in self._ways(a, b)
        }
        return {
            (name, way): list(self.trails[name].search(data)) for (name, way), data in ways.items()
        }

    def _found_on_edges(self, a: Node, b: Node) -> tuple[Control, ...]:
        """The mark of this link's mail, by the same search, on port 25 into a and out of b."""
        letter = self.matrix.get((a.name, b.name))
        mark = self.canaries.mark(letter.number, "b") if letter else None
        into = [f for (_, to, m), f in self.edges.items() if to == a.host and m == mark]
        out = [f for (by, _, m), f in self.edges.items() if by == b.host and m == mark]
        marks = [
            Control(
                f"the mark of this link's mail is found on port 25 {where}",
                bool(frames),
                f"frame {min(frames)}" if frames else "",
            )
            for where, frames in ((f"into {a.name}", into), (f"out of {b.name}", out))
        ]
        sought = "a digest in an ordinary mail is found on port 25"
        where = f"frame {self.digest}" if self.digest else ""
        return (*marks, Control(sought, bool(self.digest), where))

    def ephemeral(self, a: Node, b: Node) -> Finding:
        """link-ephemeral."""
        own = self.streams[a.host, b.host]
        bad = [e for s in own for e in self._not_ephemeral(s)]
        chosen = {g for s in own for h in s.hellos if h.kind == SERVER_HELLO for g in h.groups}
        both = [s for s in own if _shares(s, CLIENT_HELLO) and _shares(s, SERVER_HELLO)]
        seen = Control(
            "handshakes with the key shares of both sides are seen on this link",
            bool(both),
            f"frame {both[0].hellos[0].frame}" if both else "",
        )
        return judge(
            "link-ephemeral", f"{a.name}>{b.name}",
            looked_at=f"{len(own)} connections, {', '.join(sorted(chosen)) or 'no key exchange'}",
            controls=self._controls(a, b, seen), evidence=some(bad), kind="key exchange",
        )  # fmt: skip

    def paced(self, a: Node, b: Node) -> Finding:
        """link-cells."""
        own, rate = self.flows[a.host, b.host], self.topology.cells
        bad = [told for _, told in self._broken(a, own)]
        bad += [told for _, told in self._needless(a.host, b.host)]
        letters = self.letters[a.name, b.name]
        arrived = bool(letters) and all(letter.delivered for letter in letters)
        called = bool(self.calls[a.host, b.host] or self.calls[b.host, a.host])
        controls = cells.controls(own, rate, arrived=arrived, called=called)
        return judge(
            "link-cells", f"{a.name}>{b.name}", looked_at=cells.looked(own),
            controls=self._controls(a, b, *controls, *self._told_of_rules(a, own)),
            evidence=some(bad), kind="cells",
        )  # fmt: skip

    def _broken(self, a: Node, own: Sequence[cells.Flow]) -> Iterator[cells.Broken]:
        """What these flows show, compared with those of all nodes but a."""
        others = [f for (by, _), flows in self.flows.items() if by != a.host for f in flows]
        cut = cells.usual_cut(self.cuts - self.cuts_of[a.host])
        return cells.broken(own, others, self.topology.cells, self.since, cut)

    def _told_of_rules(self, a: Node, own: Sequence[cells.Flow]) -> tuple[Control, ...]:
        """Each rule's evidence is found where it must be: by the same code, on the same tape."""
        rude = (self.topology.prober, a.host)
        seen = [*self._broken(a, self._flows_of(rude)), *self._needless(*rude)]
        told = {rule for rule, _ in seen}
        missing = [rule for rule in cells.Rule if rule not in told | {cells.Rule.PAUSE}]
        paused = [told for rule, told in self._broken(a, cells.halting(own, self.topology.cells))
                  if rule is cells.Rule.PAUSE]  # fmt: skip
        return (
            Control(
                f"the prober, as a peer of {a.name} that keeps no rule, is accused of "
                f"{', '.join(rule for rule in cells.Rule if rule is not cells.Rule.PAUSE)}",
                not missing,
                f"not of {', '.join(missing)}" if missing else f"{len(seen)} times",
            ),
            Control(
                "in a copy without some of its cells the pause is told",
                bool(paused),
                paused[0].what if paused else "",
            ),
        )

    def _needless(self, caller: str, called: str) -> Iterator[cells.Broken]:
        """Calls to a peer with whom there is a link: by TCP alone, or by TLS and without a cell."""
        for call in self.calls[caller, called]:
            links = [*self.calls[caller, called], *self.calls[called, caller]]
            if call.begin > self.since and any(
                one.link and one.begin < call.begin < one.end and one.number != call.number
                for one in links
            ):
                yield cells.Rule.CALL, self.frames.told(call.frame, "calls, though there is a link")

    @cached_property
    def calls(self) -> dict[tuple[str, str], list[cells.Span]]:
        """All connections to link ports, also those that carried nothing, by who called whom."""
        found: dict[tuple[str, str], list[cells.Span]] = defaultdict(list)
        for stream in self.wire.streams:
            if stream.server_port in (LINK_PORT, *PROBE_PORTS):
                ends = self._ends(stream.client, stream.server)
                found[ends].append(cells.span(stream, self.times))
        return found

    @cached_property
    def flows(self) -> dict[tuple[str, str], list[cells.Flow]]:
        """What each node sent to each other one, of connections in which it sent cells."""
        ends = [(a.host, b.host) for a, b in self.topology.links]
        return {pair: self._flows_of(pair) for pair in ends}

    def _flows_of(self, pair: tuple[str, str]) -> list[cells.Flow]:
        own = [cells.flow(stream, self.times) for stream in self.streams[pair]]
        return [f for f in own if f.times or f.strange or f.shaken[1]]

    @cached_property
    def times(self) -> dict[int, float]:
        """When each packet passed."""
        return {p.frame: p.time for p in self.wire.packets}

    @cached_property
    def cuts_of(self) -> dict[str, Counter[cells.Cut]]:
        """By its address: how each node's cells are cut into packets."""
        found: dict[str, Counter[cells.Cut]] = defaultdict(Counter)
        for (host, _), flows in self.flows.items():
            found[host].update(cut for flow in flows for _, cut in flow.cuts)
        return found

    @cached_property
    def cuts(self) -> Counter[cells.Cut]:
        """The same of all of them."""
        return sum(self.cuts_of.values(), Counter())

    def _not_ephemeral(self, stream: Stream) -> Iterable[Evidence]:
        if not any(h.kind == CLIENT_HELLO for h in stream.hellos):
            way = stream.received if stream.received.data else stream.sent
            yield self.frames.at(way, 0, "no handshake: first bytes ")
        for hello in stream.hellos:
            if PRE_SHARED_KEY in hello.extensions:
                yield self.frames.told(hello.frame, "resumes an earlier session (pre_shared_key)")
            if EARLY_DATA in hello.extensions:
                yield self.frames.told(hello.frame, "early data")
            for share in hello.shares:
                if others := self.shares[share] - {stream.number}:
                    what = f"key share {share[:16]} also in connection {min(others)}"
                    yield self.frames.told(hello.frame, what)
            for group in hello.groups:
                if group not in GROUPS.values():
                    what = f"key exchange unknown to be ephemeral: {group}"
                    yield self.frames.told(hello.frame, what)

    def _wrong_version(self, stream: Stream) -> Iterable[Evidence]:
        """Application data without TLS 1.3 chosen by the server (a broken handshake has none)."""
        chosen = [h for h in stream.hellos if h.kind == SERVER_HELLO]
        for hello in chosen:
            if hello.versions != (TLS13,):
                said = ", ".join(f"{v:#06x}" for v in hello.versions)
                what = f"TLS version {said} chosen, not 0x0304"
                yield self.frames.told(hello.frame, what)
        sent, received = records(stream.sent.data), records(stream.received.data)
        if sent.application + received.application and not chosen:
            yield self.frames.told(stream.frame, "data records without a handshake")


def _shares(stream: Stream, kind: int) -> bool:
    return any(h.kind == kind and h.shares for h in stream.hellos)
