"""smtp-talk: what a node says on port 25, held against the one grammar of all nodes. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from testbed.topology import Node
from testbed.verdict import Control, Finding, judge
from testbed.wire import grammar
from testbed.wire.edges import Edges, Told
from testbed.wire.frames import shown
from testbed.wire.packets import Bytes, Stream
from testbed.wire.smtp import Exchange

WHOLE = 8192
"""Bytes of a mail that a node hands over in one packet: a new connection may send 14,600 before it
is answered (RFC 6928), and the kernel takes them at once."""


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
    yield from (_loose(way, at) for way, at in heard.rest if way is stream.sent)


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


def _loose(way: Bytes, at: int) -> Told:
    what = f"neither command nor reply: {shown(way.data[at : at + 80])}"
    return way.frame(at), what
