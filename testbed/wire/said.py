"""smtp-talk: what a node says on port 25, held against the one grammar of all nodes. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from remailer.link.smtp import CONNECT_SECONDS
from testbed.topology import Node
from testbed.verdict import Control, Finding, judge
from testbed.wire import grammar
from testbed.wire.edges import MAIL_PORT, Edges, Told
from testbed.wire.frames import shown
from testbed.wire.packets import RST, Bytes, Stream
from testbed.wire.smtp import Exchange

WHOLE = 8192
"""Bytes of a mail that a node hands over in one packet: a new connection may send 14,600 before it
is answered (RFC 6928), and the kernel takes them at once."""
SILENT = 10.0
"""Seconds without the word that is due: no machine is that busy."""
GOODBYE = 5.0
"""Seconds that a node waits for the reply to QUIT."""
HANGS_UP = 2.0
"""Seconds in which a node hangs up when all is said: a moment on a busy machine."""


def findings(edges: Edges) -> list[Finding]:
    """The row smtp-talk of every node."""
    return [_row(edges, node) for node in edges.topology.remailers]


def _row(edges: Edges, node: Node) -> Finding:
    served, begun = (
        [s for s in streams if edges.times[s.frame] >= edges.since]
        for streams in (edges.served(node), edges.begun(node))
    )
    whom = {letter.recipient for letter in edges.letters}
    bad = [e for s in served for e in replies(edges, s, node.domain)]
    bad += [e for s in begun for e in _commands(edges, s, node.domain, whom)]
    bad += [e for s in begun for e in (*_left(edges, s), *_stays(edges, s))]
    bad += [e for s in edges.wire.streams for e in _cut_off(edges, s, node)]
    taken = [e for s in served for e in edges.talk(s).exchanges if e.verb == "." and e.reply]
    given = [e for s in begun for e in edges.talk(s).exchanges if e.verb == "." and e.reply]
    hosts = {host.host: f"mail.{host.domain}" for host in edges.topology.mailhosts}
    queued = [e for s in begun for e in replies(edges, s, hosts[s.server]) if "queued as" in e[1]]
    count = sum(len(edges.talk(s).exchanges) for s in (*served, *begun))
    return judge(
        "smtp-talk", node.name,
        looked_at=f"{len(served)} conversations that it answered, {len(begun)} that it began: "
        f"{count} commands and replies",
        controls=(
            edges.whole,
            Control("it is heard taking mail", bool(taken), f"{len(taken)} mails"),
            Control("it is heard handing mail on", bool(given), f"{len(given)} mails"),
            Control(
                "the queue numbers in the mail hosts' replies to it are found",
                bool(queued), f"frame {queued[0][0]}: {queued[0][1]}" if queued else "",
            ),
        ),
        evidence=edges.evidence(bad), kind="talk",
    )  # fmt: skip


def replies(edges: Edges, stream: Stream, me: str) -> Iterator[Told]:
    """What the server of a stream said that a remailer of that domain would not have."""
    heard = edges.talk(stream)
    for exchange, template in grammar.replies(heard.exchanges, me):
        yield _told(stream.received, exchange.reply_at, exchange.reply, template)
    yield from _cut(stream.received, [(e.reply_at, e.reply) for e in heard.exchanges])
    yield from (_loose(way, at) for way, at in heard.rest if way is stream.received)


def _commands(edges: Edges, stream: Stream, me: str, whom: set[str]) -> Iterator[Told]:
    heard = edges.talk(stream)
    for exchange, template in grammar.commands(heard.exchanges, me, whom):
        begins = exchange.at + 1 - len(exchange.command)
        yield _told(stream.sent, begins, exchange.command, template)
    asked: list[Exchange] = [e for e in heard.exchanges if e.verb not in {"", "."}]
    yield from _cut(stream.sent, [(e.at + 1 - len(e.command), e.command) for e in asked])
    yield from _in_pieces(stream.sent, heard.exchanges)
    yield from _dotted(stream.sent, heard.exchanges)
    yield from (_loose(way, at) for way, at in heard.rest if way is stream.sent)


def _left(edges: Edges, stream: Stream) -> Iterator[Told]:
    """A conversation that the node left as no node does: without QUIT, or without waiting."""
    last = edges.talk(stream).exchanges[-1]
    ours, theirs = stream.ends
    first = bool(ours) and not 0 < theirs < ours
    spoken = [way.frames[-1] for way in (stream.sent, stream.received) if way.frames]
    begins = max(spoken, default=stream.frame)
    ends = ours if first else theirs or edges.wire.packets[-1].frame
    waited = edges.times[ends] - edges.times[begins]
    what = f"after {shown(last.reply)}"
    if not last.reply:
        # Who isn't answered may go; sooner only if somebody else did.
        if first and waited < (GOODBYE if last.verb == "QUIT" else CONNECT_SECONDS):
            asked = f"reply to {last.verb}" if last.verb else "greeting"
            yield ours, f"hung up after {waited:.1f} s without a {asked}, where every node waits"
    elif last.verb != "QUIT" and last.reply[:1] not in {b"4", b"5"}:
        if first:
            yield ours, f"hung up {what}, where every node says QUIT"
        elif waited > SILENT:
            yield begins, f"said nothing for {waited:.0f} s {what}, where every node says QUIT"


def _stays(edges: Edges, stream: Stream) -> Iterator[Told]:
    """A conversation that the node doesn't leave when all is said."""
    last = edges.talk(stream).exchanges[-1]
    ours, theirs = stream.ends
    if last.verb == "QUIT" and last.reply:
        begins, when = stream.received.frames[-1], shown(last.reply)
    elif theirs and not 0 < ours < theirs:
        begins, when = theirs, "the host hung up"
    else:
        return
    ends = ours or edges.wire.packets[-1].frame
    waited = edges.times[ends] - edges.times[begins]
    # After a reset there is nothing left to hang up on.
    if waited > HANGS_UP and not any(
        p.stream == stream.number and p.flags & RST for p in edges.wire.packets
    ):
        yield begins, f"stayed for {waited:.1f} s after {when}, where every node hangs up"


def _cut_off(edges: Edges, stream: Stream, node: Node) -> Iterator[Told]:
    """A conversation that the node was called for, and hung up on."""
    theirs, ours = stream.ends
    called = stream.server == node.host and stream.server_port == MAIL_PORT
    if called and ours and not 0 < theirs < ours and edges.times[stream.frame] >= edges.since:
        last = edges.talk(stream).exchanges[-1]
        if last.verb not in {"QUIT", "STARTTLS"}:  # after STARTTLS nothing can be read
            what = f"after {shown(last.reply)}" if last.reply else "without a word"
            yield ours, f"hung up {what}, where every node waits for QUIT"


def _told(way: Bytes, at: int, said: bytes, template: str) -> Told:
    # Only the first line that is another one: an EHLO's reply has several.
    pairs = zip(said.splitlines(True), template.encode().splitlines(True), strict=False)
    other = next((pair for pair in pairs if pair[0] != pair[1]), (said, template.encode()))
    what = f"said {shown(other[0])}, where every node says {shown(other[1])}"
    return way.frame(at), what


def _cut(way: Bytes, said: Sequence[tuple[int, bytes]]) -> Iterator[Told]:
    """A line that came in several packets: where it is cut can tell something."""
    for at, words in said:
        for line in words.splitlines(True):
            if way.frame(at) != way.frame(at + len(line) - 1):
                yield way.frame(at), f"a line in pieces: {shown(line)}"
            at += len(line)


def _in_pieces(way: Bytes, exchanges: Sequence[Exchange]) -> Iterator[Told]:
    """A mail that came in several packets though one would do."""
    for before, one in pairwise(exchanges):
        begins, size = before.at + 1, one.at - before.at
        if one.verb == "." and size <= WHOLE and way.frame(begins) != way.frame(one.at):
            yield way.frame(begins), f"a mail of {size:,} bytes in pieces, where every node has one"


def _dotted(way: Bytes, exchanges: Sequence[Exchange]) -> Iterator[Told]:
    """A mail in other bytes than it takes: any line's first dot is stripped (RFC 5321, 4.5.2)."""
    for before, one in pairwise(exchanges):
        if one.verb == ".":
            said = way.data[before.at + 1 : one.at + 1 - len(one.command)]
            form = re.sub(rb"(?m)^\.", b"..", re.sub(rb"\r\n?|\n", b"\r\n", one.mail))
            pairs = enumerate(zip(said, form, strict=False))
            if said != form:
                same = next((i for i, (a, b) in pairs if a != b), min(len(said), len(form)))
                line = max(said.rfind(b"\n", 0, same), form.rfind(b"\n", 0, same)) + 1
                told, usual = (shown(part[line : line + 80]) for part in (said, form))
                what = f"a mail with {told}, where every node has {usual}"
                yield way.frame(before.at + 1 + same), what


def _loose(way: Bytes, at: int) -> Told:
    what = f"neither command nor reply: {shown(way.data[at : at + 80])}"
    return way.frame(at), what
