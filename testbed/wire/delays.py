"""delays: a node answers at once, and mail leaves as the pool's law says. Pure.

A delay in the pool is taken from the end of a mail that came in on port 25 to the conversation with
which it goes out: both are plain on the wire, and the letter's own domain joins them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from scipy.special import bdtrc

from remailer.delivery import LINGER_SECONDS
from remailer.pool import parse
from testbed.topology import Node
from testbed.verdict import Control, Finding, judge
from testbed.wire import law, lookups
from testbed.wire.edges import Edges, Told
from testbed.wire.packets import Stream
from testbed.wire.smtp import Exchange

SLOW = {
    "replies": 0.15, "replies to a mail": 0.5, "commands": 0.15, "mails after 354": 0.15,
    "ends after 221": 0.15, "look-ups": 0.15,
}  # fmt: skip
"""Seconds that are not at once; a mail is on disk before it is answered."""
AT_ONCE = 1 << 16
"""Bytes of a mail that are on the wire at once: of a bigger one only how it begins is timed."""
PLAIN = frozenset(["EHLO", "MAIL", "DATA"])
"""What a mail host answers without looking anything up: how quick that is tells how the machine is.
"""
MOST_SLOW, TIMES = 0.25, 4.0
"""Share of what a node says that may be slow, and how much more for each of the mail hosts' plain
replies that is: on a busy machine everybody waits now and then."""
TOO_SLOW = 0.4
"""Where so large a share would have to pass, nothing can be told."""
SLACK = 2.0
"""Seconds that a node may take for a mail besides the pool."""
SYMBOLS = "few symbols"
PLANTED = {"two delays in place of the pool's": (0.4, 1.6), "one delay for all mails": (1.0,)}
"""What is tried to see what this run can tell, the finest first: symbols, as shares of the mean."""
LEAST = 10
"""Delays of a node that its row must rest on."""


@dataclass(frozen=True)
class Pause:
    """How long one side took to say its next word."""

    frame: int
    what: str
    seconds: float


@dataclass(frozen=True)
class Passage:
    """A letter that passed one node alone, from the packet that ended it."""

    frame: int
    seconds: float
    """From there to the conversation with which it left."""
    after_reply: float
    """From the reply to it: it is on disk then, and how long that took is no part of it."""


def findings(edges: Edges) -> list[Finding]:
    """The row delays of every node."""
    nodes = edges.topology.remailers
    mean = parse(edges.topology.pool).mean
    passages = [passed(edges, node) for node in nodes]
    chances = [_chances(own, mean) for own in passages]
    rejected = law.holm([p for both in chances for p in both])
    rows = []
    for index, node in enumerate(nodes):
        how = [
            f"{what} (p = {p:.1g})"
            for what, p, no in zip(
                (f"not exponential with mean {mean:g} s", SYMBOLS),
                chances[index], rejected[2 * index : 2 * index + 2], strict=True,
            )
            if no
        ]  # fmt: skip
        rows.append(_row(edges, node, mean, passages[index], how))
    return rows


def _chances(passages: Sequence[Passage], mean: float) -> tuple[float, float]:
    """Of the pool's law, and of so few symbols."""
    if not mean or not passages:
        return 1.0, 1.0
    return (
        law.p_law([p.seconds for p in passages], mean, SLACK),
        law.p_symbols([p.after_reply for p in passages], mean),
    )


def _row(
    edges: Edges, node: Node, mean: float, passages: Sequence[Passage], how: Sequence[str]
) -> Finding:
    delays = [p.after_reply for p in passages]
    allowed = may_be_slow(edges)
    quick = allowed <= TOO_SLOW
    own = [p for s in edges.served(node) for p in answers(edges, s)]
    own += [p for s in edges.begun(node) for p in commands(edges, s)]
    own += look_ups(edges, node)
    counts = {what: sum(p.what == what for p in own) for what in SLOW}
    bad = [*_not_at_once(own, allowed)] if quick else []
    at = passages[0].frame if passages else 0
    told = ", ".join(f"{t:.2f}" for t in sorted(delays)[:30])
    bad += [
        (at, f"{len(delays)} delays in the pool, {what}: {told} s")
        for what in how if quick or what.startswith(SYMBOLS)
    ]  # fmt: skip
    if not mean:
        bad += [
            (p.frame, f"left after {p.seconds:.1f} s, and there is no pool")
            for p in passages if p.seconds > SLACK and quick
        ]  # fmt: skip
    finest, tried = _power(delays, own, mean)
    controls = [
        edges.whole,
        Control(
            "the mail hosts' plain replies are quick enough to tell what is slow",
            quick, f"{allowed:.0%} of the node's may be slow",
        ),
        Control(
            "its replies, commands and look-ups are timed, each sort of them",
            all(n >= LEAST for n in counts.values()),
            ", ".join(f"{n} {what}" for what, n in counts.items()),
        ),
        Control(
            "delays in the pool are timed, of all letters that it alone passes on",
            len(delays) >= LEAST, f"{len(delays)}",
        ),
        tried,
    ]  # fmt: skip
    return judge(
        "delays", node.name,
        looked_at=f"{len(own)} replies, commands and look-ups; {len(delays)} delays in the pool"
        + (f", {sum(delays) / len(delays):.2f} s on average" if delays else "")
        + (f"; {finest} would show" if finest else ""),
        controls=controls, evidence=edges.evidence(bad), kind="delay",
    )  # fmt: skip


def _power(delays: Sequence[float], own: Sequence[Pause], mean: float) -> tuple[str, Control]:
    """The same tests on as many delays of few symbols, with what replies take on top: the finest
    that is found, and the control that one is."""
    # To open a mail takes longer than to store it: on a busy machine about twice as long.
    takes = [2 * p.seconds for p in own if p.what == "replies to a mail"]
    if not mean:
        late = any(t + 2 * SLACK > SLACK for t in takes)
        return "", Control("a reply's time and some seconds are found", late, f"{len(takes)} times")
    sought = "as many delays of few symbols, with twice the times of its replies on top, are found"
    p = 1.0
    for what, symbols in PLANTED.items() if takes else ():
        planted = [
            mean * symbols[i % len(symbols)] + takes[i % len(takes)] for i in range(len(delays))
        ]
        p = min(law.p_symbols(planted, mean), law.p_law(planted, mean, SLACK)) if planted else 1.0
        if p < law.ALPHA / 10:
            return what, Control(sought, True, f"{what}: p = {p:.1g} at n = {len(delays)}")
    return "", Control(sought, False, f"p = {p:.1g} at n = {len(delays)}")


def may_be_slow(edges: Edges) -> float:
    """The share of a node's replies and commands that may be slow in this run; 1 if all may."""
    times = [
        pause.seconds
        for host in edges.topology.mailhosts for s in edges.served(host)
        for e, pause in _timed(edges, s) if e.verb in PLAIN
    ]  # fmt: skip
    slow = sum(t > SLOW["replies"] for t in times)
    return min(1.0, MOST_SLOW + TIMES * slow / len(times)) if times else 1.0


def answers(edges: Edges, stream: Stream) -> Iterator[Pause]:
    """How long a server took for its greeting and each reply."""
    return (pause for _, pause in _timed(edges, stream))


def _timed(edges: Edges, stream: Stream) -> Iterator[tuple[Exchange, Pause]]:
    for e in edges.talk(stream).exchanges:
        if e.reply:
            asked = stream.frame if e.at < 0 else stream.sent.frame(e.at)
            frame = stream.received.frame(e.reply_at)
            what = "replies to a mail" if e.verb == "." else "replies"
            yield e, Pause(frame, what, edges.times[frame] - edges.times[asked])


def commands(edges: Edges, stream: Stream) -> Iterator[Pause]:
    """How long a client took for what came after each reply; before QUIT it lingers."""
    exchanges = edges.talk(stream).exchanges
    for before, e in pairwise(exchanges):
        # The next mail on a connection comes when it is due.
        if before.reply and (before.verb, e.verb) != (".", "MAIL"):
            frame = stream.sent.frame(_goes_on(before, e))
            seconds = edges.times[frame] - edges.times[_replied(stream, before)]
            lingers = LINGER_SECONDS if e.verb == "QUIT" else 0.0
            what = "mails after 354" if e.verb == "." else "commands"
            yield Pause(frame, what, abs(seconds - lingers))
    last, ends = exchanges[-1], stream.ends[0]
    if last.verb == "QUIT" and last.reply and ends:
        seconds = edges.times[ends] - edges.times[_replied(stream, last)]
        yield Pause(ends, "ends after 221", seconds)


def _replied(stream: Stream, e: Exchange) -> int:
    # The packet with the reply's end.
    return stream.received.frame(e.reply_at + len(e.reply) - 1)


def _goes_on(before: Exchange, e: Exchange) -> int:
    # A mail is timed to its end: it could dribble.
    if e.verb == ".":
        return e.at if e.at - before.at <= AT_ONCE else before.at + 1
    return e.at + 1 - len(e.command)


def look_ups(edges: Edges, node: Node) -> Iterator[Pause]:
    """How long a node took from each answer to its next question, or to the conversation."""
    needs, _ = lookups.matched(edges, node, lookups.questions(edges, edges.packets(node)))
    for need in needs:
        if len(need.asked) == len(lookups.ORDER):
            goes_on = [*((q.frame, q.time) for q in need.asked[1:]), (need.frame, need.begins)]
            for q, (frame, time) in zip(need.asked, goes_on, strict=True):
                if q.answered is not None:
                    yield Pause(frame, "look-ups", time - q.answered)


def passed(edges: Edges, node: Node) -> list[Passage]:
    """Letters that passed this node alone."""
    came: dict[bytes, tuple[int, int]] = {}
    for stream in edges.served(node):
        for e in edges.talk(stream).exchanges:
            if e.verb == "." and e.reply:
                frames = stream.sent.frame(e.at), stream.received.frame(e.reply_at)
                came[_message_id(e.mail)] = frames
    left: dict[str, float] = {}
    for stream in edges.begun(node):
        for who in edges.talk(stream).recipients:
            left.setdefault(who.rpartition("@")[2], edges.times[stream.frame])
    found = []
    for letter in edges.leaving(node):
        ends = came.get(letter.message_id.encode())
        if letter.kind == "forward" and len(letter.path) == 1 and ends and letter.domain in left:
            since, after = (left[letter.domain] - edges.times[frame] for frame in ends)
            found.append(Passage(ends[0], since, after))
    return found


def _message_id(mail: bytes) -> bytes:
    """Postfix hands it on as the sender's program made it."""
    head = mail.partition(b"\r\n\r\n")[0].lower()
    at = head.find(b"\r\nmessage-id:")
    return mail[at + 2 :].partition(b"\r\n")[0].partition(b":")[2].strip() if at >= 0 else b""


def _not_at_once(pauses: Sequence[Pause], allowed: float) -> Iterator[Told]:
    for what, limit in SLOW.items():
        times = [p for p in pauses if p.what == what]
        slow = [p for p in times if p.seconds > limit]
        # So many or more of them, if the share were what it may be.
        chance = float(bdtrc(len(slow) - 1, len(times), allowed)) if slow else 1.0
        if chance < law.ALPHA / 100:
            yield (
                slow[0].frame,
                f"{len(slow)} of {len(times)} {what} took longer than {limit:g} s "
                f"(p = {chance:.1g} if {allowed:.0%} did): {slow[0].seconds:.2f} s",
            )
