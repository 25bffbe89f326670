"""dns-late: a node asks for what its mail needs, when the mail goes, and in one way. Pure.

The number of each question is the beginning of one that the node had from the kernel; nothing else
in it is open but the name. Nothing but questions goes to the resolver.

Each letter's recipient has a domain of its own, so each look-up belongs to one letter, and each
conversation on port 25 to the look-ups just before it: one MX, then the addresses of its host, in
one order.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from remailer.resolver import TRY_SECONDS
from testbed.topology import Node
from testbed.verdict import Control, Finding, judge
from testbed.wire.capture import DNS_TWIN
from testbed.wire.edges import DNS_PORT, Edges, Told
from testbed.wire.frames import shown
from testbed.wire.packets import Packet

WITHIN = 2.0
"""Seconds from a look-up to the conversation that it is for: a moment on a busy machine, while a
mail waits for as long on average in the pool of a quick web."""

NUMBER = 16
"""Hex digits of the random numbers that questions' numbers are the beginning of."""
SPARE = 20
"""Numbers beyond its questions that a node may take."""

TYPES = {15: "MX", 1: "A", 28: "AAAA"}
"""What an exit asks for (RFC 5321, 5.1), in the order in which it does."""
ORDER = tuple(TYPES)

HEAD = bytes.fromhex("0100 0001 0000 0000 0001")
"""Of a question, behind its number: recursion is desired (RFC 1035, 4.1.1)."""
TAIL = struct.pack("!HxHHIH", 1, 41, 1232, 0, 0)
"""Behind the type: the class, and the size of answers that are taken (RFC 6891, 6.1.2)."""


@dataclass(frozen=True)
class Question:
    """A look-up, as the wire shows it."""

    frame: int
    time: float
    name: str
    kind: int
    said: bytes
    answered: float | None
    """When; None if not while a node waits before it asks again."""

    @property
    def unanswered(self) -> bool:
        """Whether a node asks it again."""
        return self.answered is None

    @property
    def number(self) -> int:
        """What tells it from others of the same name."""
        return int.from_bytes(self.said[:2])


@dataclass
class Need:
    """A conversation on port 25, and the look-ups that it is for."""

    frame: int
    begins: float
    domains: frozenset[str]
    """Of those whom the mail in it is for."""
    wanted: Mapping[int, frozenset[str]]
    """Names that may be asked for, by type."""
    asked: list[Question] = field(default_factory=list)

    def wants(self, q: Question) -> bool:
        """Whether that look-up is the one whose turn it is."""
        turn = ORDER[len(self.asked) : len(self.asked) + 1]
        return (
            turn == (q.kind,)
            and q.name in self.wanted[q.kind]
            and 0 <= self.begins - q.time <= WITHIN
            and not q.unanswered
        )


def findings(edges: Edges, given: Mapping[str, Collection[str]]) -> list[Finding]:
    """The row dns-late of every node; `given`: the kernel's random numbers by node, in hex."""
    return [_row(edges, node, given.get(node.name, ())) for node in edges.topology.remailers]


def _row(edges: Edges, node: Node, given: Collection[str]) -> Finding:
    own = questions(edges, edges.packets(node))
    twins = questions(edges, edges.twins(node))
    needs, early = matched(edges, node, own)
    needed = {letter.domain for letter in edges.leaving(node)}
    seen = {q.name for need in needs for q in need.asked if TYPES[q.kind] == "MX"}
    found = matched(edges, node, twins)[1]
    numbers = [int(number[:4], 16) for number in given if len(number) == NUMBER]
    bad = [*_early(early), *_lacking(edges, needs), *_otherwise(own), *_loose(edges, node, own)]
    if given:
        bad += _strange(own, numbers)
    twin = next((q for q in found if q.name.startswith(DNS_TWIN)), None)
    where = f"frame {twin.frame}: {twin.name}" if twin else ""
    return judge(
        "dns-late", node.name,
        looked_at=f"{len(own)} look-ups for {len(edges.begun(node))} conversations on port 25",
        controls=(
            edges.whole,
            Control(
                f"the look-ups of all {len(needed)} letters that it delivers are seen",
                bool(needed) and needed <= seen, f"{len(needed & seen)} of {len(needed)}",
            ),
            Control(
                "random numbers are seen that the kernel gave it", bool(given),
                f"{len(numbers)} for {len(own)} questions"
                if given else "none, and message-ids says why",
            ),
            Control("a look-up under its address that no mail follows is found", bool(twin), where),
            Control(
                "so is that it was asked in another way",
                bool(list(_otherwise(twins))), where,
            ),
        ),
        evidence=edges.evidence(bad), kind="look-up",
    )  # fmt: skip


def questions(edges: Edges, packets: Sequence[Packet]) -> list[Question]:
    """The queries among them."""
    answers: dict[tuple[str, int], list[float]] = {}
    for p in edges.wire.packets:
        if p.source_port == DNS_PORT:
            answers.setdefault((p.target, p.target_port), []).append(p.time)
    found = []
    for p in packets:
        if p.protocol == "udp" and p.query is not None:
            times = answers.get((p.source, p.source_port), ())
            heard = next((time for time in times if 0 <= time - p.time < TRY_SECONDS), None)
            found.append(Question(p.frame, p.time, *p.query, p.payload, heard))
    return found


def matched(
    edges: Edges, node: Node, asked: Sequence[Question]
) -> tuple[list[Need], list[Question]]:
    """The node's conversations with the look-ups for each, and those that are for none.

    All ask for the addresses of the same hosts: who begins first had his first. A question that
    nobody answered is asked again.
    """
    leaving = frozenset(letter.domain for letter in edges.leaving(node))
    hosts = {h.host: frozenset([f"mail.{h.domain}"]) for h in edges.topology.mailhosts}
    needs = []
    for stream in sorted(edges.begun(node), key=lambda s: s.frame):
        host = hosts[stream.server]
        domains = frozenset(who.rpartition("@")[2] for who in edges.talk(stream).recipients)
        # Where nobody was named (the host didn't greet) it can't be known whose it was.
        wanted = dict(zip(ORDER, (domains or leaving, host, host), strict=True))
        needs.append(Need(stream.frame, edges.times[stream.frame], domains, wanted))
    rest: list[Question] = []
    for q in asked:
        need = next((need for need in needs if need.wants(q)), None)
        (need.asked if need else rest).append(q)
    again = {(q.name, q.kind) for need in needs for q in need.asked}
    return needs, [q for q in rest if not (q.unanswered and (q.name, q.kind) in again)]


def _early(asked: Sequence[Question]) -> Iterator[Told]:
    turns = ", ".join(TYPES.values())
    for q in asked:
        kind = TYPES.get(q.kind, f"type {q.kind}")
        what = f"no mail for it within {WITHIN:g} s, or it isn't its turn ({turns})"
        yield q.frame, f"look-up of {q.name} {kind}: {what}"


def _lacking(edges: Edges, needs: Sequence[Need]) -> Iterator[Told]:
    for need in needs:
        if need.begins >= edges.since and len(need.asked) < len(ORDER):
            kinds = ", ".join(TYPES[kind] for kind in ORDER[len(need.asked) :])
            yield need.frame, f"a conversation on port 25 without its look-ups: {kinds}"
        if len(need.domains) > 1:
            whom = ", ".join(sorted(need.domains))
            yield need.frame, f"one conversation on port 25 for {whom}, where each has its own"


def _strange(asked: Sequence[Question], numbers: Sequence[int]) -> Iterator[Told]:
    known = set(numbers)
    for q in asked:
        if q.number not in known:
            what = f"look-up of {q.name}: the kernel gave the node no number {q.number:#06x}"
            yield q.frame, what
    if asked and (taken := _since(asked[0], numbers)) > len(asked) + SPARE:
        what = f"{taken} numbers for {len(asked)} questions: who asks for more may choose"
        yield asked[0].frame, what


def _since(first: Question, numbers: Sequence[int]) -> int:
    """How many numbers a node took from a question on: a web may have had other runs before."""
    places = [place for place, number in enumerate(numbers) if number == first.number]
    return len(numbers) - places[-1] if places else 0


def _otherwise(asked: Sequence[Question]) -> Iterator[Told]:
    for q in asked:
        form = _form(q)
        if q.said != form:
            pairs = enumerate(zip(q.said, form, strict=False))
            at = next((i for i, (a, b) in pairs if a != b), min(len(q.said), len(form)))
            said, usual = (part[at : at + 16].hex() or "nothing" for part in (q.said, form))
            what = f"asked otherwise: {said} at byte {at}, where every node has {usual}"
            yield q.frame, f"look-up of {q.name} {what}"


def _form(q: Question) -> bytes:
    """A question for the same as every node asks it, under the same number."""
    labels = [part.encode() for part in q.name.split(".")]
    name = b"".join(len(label).to_bytes(2)[1:] + label for label in labels) + b"\0"
    return q.said[:2] + HEAD + name + struct.pack("!H", q.kind) + TAIL


def _loose(edges: Edges, node: Node, own: Sequence[Question]) -> Iterator[Told]:
    """What goes to the resolver and is no question over UDP."""
    late = any(q.unanswered for q in own)
    for p in edges.packets(node):
        # That nobody waits for an answer any more a kernel says by itself.
        told = p.protocol == "icmp" and late
        asks = p.protocol == "udp" and p.query is not None
        there = p.target == edges.topology.dns and p.target_port in {0, DNS_PORT}
        if there and not asks and not told:
            yield p.frame, f"no question to the resolver: {p.protocol} {shown(p.payload)}"
