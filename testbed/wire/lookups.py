"""dns-late: a node asks for what its mail needs, when the mail goes, and in one way. Pure.

The number of each question is the beginning of one that the node had from the kernel.

Each letter's recipient has a domain of its own, so each look-up belongs to one letter, and each
conversation on port 25 to the look-ups just before it: one MX, then the addresses of its host.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from testbed.topology import Node
from testbed.verdict import Control, Finding, judge
from testbed.wire.asked import OF_DNS
from testbed.wire.capture import DNS_TWIN
from testbed.wire.edges import DNS_PORT, Edges, Told, usual
from testbed.wire.packets import Packet

WITHIN = 2.0
"""Seconds from a look-up to the conversation that it is for: a moment on a busy machine, while a
mail waits for as long on average in the pool of a quick web."""

NUMBER = 16
"""Hex digits of the random numbers that questions' numbers are the beginning of."""
SPARE = 20
"""Numbers beyond its questions that a node may take."""

TYPES = {1: "A", 15: "MX", 28: "AAAA"}
"""What an exit asks for (RFC 5321, 5.1)."""


@dataclass(frozen=True)
class Question:
    """A look-up, as the wire shows it."""

    frame: int
    time: float
    name: str
    kind: int
    way: tuple[str, ...]
    """How it was asked: all that doesn't follow from the name."""
    unanswered: bool
    number: int


def findings(edges: Edges, given: Mapping[str, Collection[str]]) -> list[Finding]:
    """The row dns-late of every node; `given`: the kernel's random numbers by node, in hex."""
    return [_row(edges, node, given.get(node.name, ())) for node in edges.topology.remailers]


def _row(edges: Edges, node: Node, given: Collection[str]) -> Finding:
    own = questions(edges, [p for p in edges.packets(node) if p.query is not None])
    twins = questions(edges, [p for p in edges.twins(node) if p.query is not None])
    way = usual(q.way for q in own)
    late, early = matched(edges, node, own)
    needed = {letter.domain for letter in edges.leaving(node)}
    seen = {q.name for q in late if TYPES.get(q.kind) == "MX"}
    found = [*matched(edges, node, twins)[1]]
    numbers = [int(number[:4], 16) for number in given if len(number) == NUMBER]
    bad = [*map(_early, early), *_otherwise(own, way)]
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
                bool(list(_otherwise(twins, way))), where,
            ),
        ),
        evidence=edges.evidence(bad), kind="look-up",
    )  # fmt: skip


def questions(edges: Edges, packets: Sequence[Packet]) -> list[Question]:
    """Queries with what can be compared in them."""
    answered = {(p.target, p.target_port) for p in edges.wire.packets if p.source_port == DNS_PORT}
    found = []
    for p in packets:
        if p.query is not None:
            said = dict(zip(OF_DNS, p.question, strict=False))
            number = int(said.pop("dns.id", "") or "0", 16)
            long = said.get("udp.length", "")
            if long:
                said["udp.length"] = str(int(long) - len(p.query[0].encode()))
            way = (p.protocol, str(p.target_port), *(f"{k} {v}" for k, v in said.items()))
            open_ = (p.source, p.source_port) not in answered
            found.append(Question(p.frame, p.time, *p.query, way, open_, number))
    return found


def matched(
    edges: Edges, node: Node, asked: Sequence[Question]
) -> tuple[list[Question], list[Question]]:
    """Those that a conversation follows at once (each is for one), and the rest.

    A question that nobody answered may be asked again.
    """
    waiting = list(asked)
    late: list[Question] = []
    for stream in sorted(edges.begun(node), key=lambda s: s.frame):
        begins = edges.times[stream.frame]
        names = {who.rpartition("@")[2] for who in edges.talk(stream).recipients}
        if not stream.received.data:  # the host did not greet: it can't be known whose it was
            names = {letter.domain for letter in edges.leaving(node)}
        host = next(h for h in edges.topology.mailhosts if h.host == stream.server)
        for kind, wanted in (
            (15, names),
            (1, {f"mail.{host.domain}"}),
            (28, {f"mail.{host.domain}"}),
        ):
            for name in wanted:
                fits = [
                    q for q in waiting
                    if (q.name, q.kind) == (name, kind) and 0 <= begins - q.time <= WITHIN
                ]  # fmt: skip
                if fits:
                    waiting.remove(fits[0])
                    late.append(fits[0])
    again = {(q.name, q.kind) for q in late}
    return late, [q for q in waiting if not (q.unanswered and (q.name, q.kind) in again)]


def _early(q: Question) -> Told:
    kind = TYPES.get(q.kind, f"type {q.kind}")
    return q.frame, f"look-up of {q.name} {kind}: no mail for it within {WITHIN:g} s"


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


def _otherwise(asked: Sequence[Question], way: tuple[str, ...] | None) -> Iterator[Told]:
    for q in asked:
        if way is not None and q.way != way:
            told = ", ".join(sorted(set(q.way) - set(way))) or "something left out"
            yield q.frame, f"look-up of {q.name} asked otherwise: {told}"
