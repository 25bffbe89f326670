"""Claim `link-mails`: how many mails pass a link, counted without opening it. Pure.

Before each mail the receiving side says 354, in words of its own (remailer/listener.py): a TLS 1.3
record of a length that no other reply has. So mail that nobody sent, to the owner by way of another
remailer or to one in league, is seen, however it is encrypted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

from testbed.topology import Link, Topology
from testbed.traffic import Letter
from testbed.verdict import Control, Evidence, Finding, judge
from testbed.wire.packets import Stream, Wire
from testbed.wire.records import SEALING, records

CLAIM = "link-mails"
GO_AHEAD = b"354 End data with <CR><LF>.<CR><LF>\r\n"


def findings(
    wire: Wire, topology: Topology, letters: Sequence[Letter], whole: Control, since: float = 0.0
) -> list[Finding]:
    """A row a link. `whole`: whether the capture is; `since`: when the letters began (1970)."""
    times = {p.frame: p.time for p in wire.packets}
    asked: dict[tuple[str, str], int] = defaultdict(int)
    for letter in letters:
        for link in pairwise(letter.path):
            asked[link] += 1
    seen: dict[tuple[str, str], list[int]] = defaultdict(list)
    holes: set[tuple[str, str]] = set()
    for stream in wire.streams:
        if stream.server_port == topology.link.port:
            ends = stream.client, stream.server
            heard = transfers(stream, topology.link)
            seen[ends] += [frame for frame in heard if times[frame] >= since]
            holes |= {ends} if stream.received.holes else set()
    rows = []
    for a, b in topology.links:
        count, frames = asked[a.name, b.name], seen[a.host, b.host]
        rows.append(
            judge(
                CLAIM,
                f"{a.name}>{b.name}",
                looked_at=f"{len(frames)} mails handed over, {count} sent that way",
                controls=[
                    whole,
                    Control("no hole in the replies", (a.host, b.host) not in holes),
                    Control(
                        f"each of the {count} mails that were sent that way is counted",
                        0 < count <= len(frames),
                        f"{len(frames)} mails",
                    ),
                ],
                evidence=[
                    Evidence(
                        f"frame {frames[-1]}",
                        f"the last of {len(frames)} mails; {count} letters of this run go this way",
                    )
                ]
                if len(frames) > count
                else [],
                kind="mail",
            )
        )
    return rows


def transfers(stream: Stream, link: Link) -> Iterator[int]:
    """The packet of each 354 that the receiving side says."""
    way = stream.received
    if link is Link.SMTP:
        at = -1
        while (at := way.data.find(GO_AHEAD, at + 1)) >= 0:
            yield way.frame(at)
        return
    for at, size in records(way.data).data:
        if size == len(GO_AHEAD) + SEALING:
            yield way.frame(at)
