"""Links that speak cells: does a node keep their rules (`Rule`)? Pure.

A connection carries both directions of a link, whoever opened it. What a direction shows is when
each of its cells began, and records that are none. A direction that pauses while the others go on
is accused; when the whole web pauses it was the machine, and nothing is known.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from statistics import median_low

from remailer.link.geometry import CELL, RECORD, RECORD_HEADER
from testbed.verdict import Control, Evidence
from testbed.wire.packets import Bytes, Stream
from testbed.wire.records import records

HANDSHAKE_MOST = 8192
"""Bytes of records that a handshake seals at most: certificates of RSA-3072 keys take 2 KB."""
HANDSHAKE_SLACK = 256
"""Bytes by which what one side seals in its handshake may exceed what others do (a certificate's
length, a server's request for the client's): less than any mail has."""
SLACK = 0.05
"""Share of cells above the rate, or cut otherwise, that clocks and edges explain."""
DUE = 0.8
"""Share of the cells that a machine which keeps up sends; ticks that it misses are left out."""
ALIKE = 0.99
"""Share of the other nodes' cells that have to be cut alike, for a node's own to be asked to be."""
PAUSE_SECONDS, PAUSE_TICKS = 2.0, 10
"""The longest time without a cell, whichever is longer."""


class Rule(StrEnum):
    """What a node is accused of, each with its own evidence."""

    SIZE = "a record of another size"
    CUT = "cells in pieces"
    PUSH = "cells that aren't pushed"
    HANDSHAKE = "more before the first cell than a handshake has"
    RATE = "cells above the rate"
    HUNG_UP = "hanging up"
    PAUSE = "a pause"
    CALL = "a call though there is a link"


Broken = tuple[Rule, Evidence]

Cut = tuple[int, ...]
"""After how many bytes a cell goes on in another packet; empty if it is one packet."""


@dataclass(frozen=True)
class Flow:
    """One direction of one connection."""

    times: tuple[float, ...]
    """When each cell's first byte passed."""
    end: float
    """When the connection was last seen."""
    strange: tuple[tuple[int, int], ...]
    """(frame, bytes) of each record that is neither the handshake's nor a cell."""
    shaken: tuple[int, int] = (0, 0)
    """Frame in which what was sealed before the first cell ended, and its bytes."""
    cuts: tuple[tuple[int, Cut], ...] = ()
    """(frame, bytes before each cut) of each cell but the first: where another packet goes on.
    A kernel that is given a whole cell cuts it between segments, if at all."""
    segment: int = 0
    """Bytes between two such places; 0 if unknown."""
    hung_up: tuple[int, float, float] = (0, 0.0, 0.0)
    """Frame in which this end hung up, if it was the first to do so; when; and how long it had
    heard nothing by then."""
    unpushed: tuple[int, ...] = ()
    """The packets without PSH that a cell ends with: a kernel that is given a whole one sets it."""

    @property
    def seconds(self) -> float:
        """How long cells were due."""
        return self.end - self.times[0] if self.times else 0.0


@dataclass(frozen=True)
class Span:
    """When a connection was there."""

    number: int
    """The stream's."""
    frame: int
    begin: float
    end: float
    """When one side hung up, or its last bytes passed."""
    link: bool
    """Whether cells went both ways."""


def span(stream: Stream, times: Mapping[int, float]) -> Span:
    """From its first packet on."""
    last = [f for way in (stream.sent, stream.received) for f in way.frames[-1:]]
    end = min((f for f in stream.ends if f), default=max([stream.frame, *last]))
    both = min(carried(stream), carried(turned(stream))) > 0
    return Span(stream.number, stream.frame, times[stream.frame], times[end], both)


def turned(stream: Stream) -> Stream:
    """The same connection, seen from the end that was called; ports stay whose they are."""
    return replace(
        stream,
        client=stream.server,
        server=stream.client,
        sent=stream.received,
        received=stream.sent,
        ends=(stream.ends[1], stream.ends[0]),
    )


def carried(stream: Stream) -> int:
    """Bytes in the cells that one end sent."""
    return CELL * sum(size == RECORD for _, size in _records(stream.sent))


def flow(stream: Stream, times: Mapping[int, float]) -> Flow:
    """What one end sent; `times`: when each frame passed."""
    found = list(_records(stream.sent))
    first = next((i for i, (_, size) in enumerate(found) if size == RECORD), len(found))
    sealed = 0
    shaken = 0, 0
    strange = []
    for place, (at, size) in enumerate(found):
        sealed += size
        if place < first and sealed <= HANDSHAKE_MOST:
            shaken = stream.sent.frame(at), sealed
        if size != RECORD and (place > first or sealed > HANDSHAKE_MOST):
            strange.append((stream.sent.frame(at), size))
    whole = [at for at, size in found if size == RECORD]
    cells = [times[stream.sent.frame(at)] for at in whole]
    cuts = tuple((stream.sent.frame(at), _cuts(stream.sent, at)) for at in whole[1:])
    seen = [times[f] for way in (stream.sent, stream.received) for f in way.frames[-1:]]
    end = max(seen, default=0.0)
    return Flow(
        tuple(cells), end, tuple(strange), shaken, cuts, stream.segment, _hung_up(stream, times),
        tuple(_unpushed(stream, whole)),
    )  # fmt: skip


def _cuts(way: Bytes, at: int) -> tuple[int, ...]:
    """After how many bytes the record goes on in another packet whose header is at that offset."""
    begin = way.starts[bisect_right(way.starts, at) - 1]
    end = at + RECORD_HEADER + RECORD
    inside = way.starts[bisect_right(way.starts, at) : bisect_left(way.starts, end)]
    return tuple(cut - begin for cut in inside)


def _unpushed(stream: Stream, whole: Iterable[int]) -> Iterator[int]:
    """Packets that end where one of these cells does, and have no PSH; of bytes that were sent
    twice the first count, as TCP sends the beginning of what was lost by itself."""
    way = stream.sent
    ends = {*way.starts, len(way.data)} - {end for _, end in way.holes}
    for at in whole:
        end = at + RECORD_HEADER + RECORD
        if end in ends and (frame := way.frame(end - 1)) not in stream.pushed:
            yield frame


def _hung_up(stream: Stream, times: Mapping[int, float]) -> tuple[int, float, float]:
    own, other = stream.ends
    if not own or 0 < other < own:
        return 0, 0.0, 0.0
    heard = max((times[f] for f in stream.received.frames if f < own), default=0.0)
    return own, times[own], times[own] - heard


def _records(way: Bytes) -> Iterator[tuple[int, int]]:
    """Offset and announced length of each application data record (the last may not be whole)."""
    for at, _ in records(way.data).data:
        yield at - RECORD_HEADER, int.from_bytes(way.data[at - 2 : at], "big")


def broken(
    own: Iterable[Flow],
    others: Sequence[Flow],
    rate: float,
    since: float,
    cut: Cut | None = None,
) -> Iterator[Broken]:
    """What one direction shows that it should not; `others`: what other nodes sent meanwhile.

    `since`: until then links may come up and go down as whoever has the web likes. `cut`: how TCP
    cuts the other nodes' cells, if nearly all alike.
    """
    usual = sorted(one.shaken[1] for one in (*own, *others) if one.times)
    for one in own:
        for frame, size in one.strange:
            told = Evidence(f"frame {frame}", f"a record of {size} bytes, not {RECORD}")
            yield Rule.SIZE, told
        for frame in one.unpushed if len(one.unpushed) > 1 else ():
            yield Rule.PUSH, Evidence(f"frame {frame}", "a cell ends without PSH")
        for told in _odd_cuts(one, cut):
            yield Rule.CUT, told
        frame, size = one.shaken
        if usual and size > (most := median_low(usual) + HANDSHAKE_SLACK):
            what = f"{size} bytes before the first cell, where a handshake has {most} at most"
            yield Rule.HANDSHAKE, Evidence(f"frame {frame}", what)
        due = one.seconds * rate + 1
        if len(one.times) > due * (1 + SLACK) + 1:
            what = f"{len(one.times)} cells where {due:.0f} were due"
            yield Rule.RATE, Evidence("the whole connection", what)
        frame, at, unheard = one.hung_up
        if one.times and at > since and unheard <= longest(rate):
            what = f"it hung up after {len(one.times)} cells, though the other end was there"
            yield Rule.HUNG_UP, Evidence(f"frame {frame}", what)
        for begin, end in _pauses(one, rate):
            if _went_on(others, begin, end, rate):
                where = f"{begin - one.times[0]:.1f} s after its first cell"
                what = f"{end - begin:.1f} s without a cell, while other nodes went on"
                yield Rule.PAUSE, Evidence(where, what)


def halting(own: Sequence[Flow], rate: float) -> list[Flow]:
    """The longest of them without the cells of a time that is a pause: from its middle on."""
    if not any(one.times for one in own):
        return []
    one = max(own, key=lambda one: one.seconds)
    begin = (one.times[0] + one.end - longest(rate)) / 2 - 1 / rate
    end = begin + longest(rate) + 2 / rate
    return [replace(one, times=tuple(at for at in one.times if not begin < at < end))]


def usual_cut(counted: Mapping[Cut, int]) -> Cut | None:
    """How nearly all of these cells are cut; None if they aren't alike."""
    most = max(counted, key=lambda cut: counted[cut], default=None)
    return most if most is not None and counted[most] > ALIKE * sum(counted.values()) else None


def _odd_cuts(one: Flow, usual: Cut | None) -> Iterator[Evidence]:
    """Cells that were given to the kernel in pieces, if it wasn't but once.

    Where it cuts between segments that may be TCP's doing (a window of congestion that has closed
    in the meantime, a card that can't): then it does so at all nodes, and nobody is accused of it.
    Elsewhere it cuts only where the other end's window ends, if that reads late.
    """
    odd = [(frame, [after for after in cut if one.segment and after % one.segment], len(cut) + 1)
           for frame, cut in one.cuts]  # fmt: skip
    odd = [of for of in odd if of[1]]
    strange = [(frame, cut) for frame, cut in one.cuts if usual is not None and cut != usual]
    few = max(2, SLACK * len(one.cuts))
    for frame, after, packets in odd if len(odd) > 1 else ():
        yield Evidence(
            f"frame {frame}",
            f"a cell in {packets} packets, cut after {after[0]} bytes, where TCP cuts only between "
            f"segments of {one.segment}",
        )
    for frame, cut in strange if len(strange) > few else ():
        yield Evidence(
            f"frame {frame}",
            f"a cell in {len(cut) + 1} packets, while those of other nodes come in "
            f"{len(usual or ()) + 1}",
        )


def longest(rate: float) -> float:
    """Seconds without a cell that are no pause yet."""
    return max(PAUSE_SECONDS, PAUSE_TICKS / rate)


def _pauses(one: Flow, rate: float) -> Iterator[tuple[float, float]]:
    for begin, end in pairwise((*one.times, one.end)):
        if end - begin > longest(rate):
            yield begin, end


def _went_on(others: Sequence[Flow], begin: float, end: float, rate: float) -> bool:
    """Whether the other nodes' cells were seen meanwhile, most of those that were due."""
    there = [one for one in others if one.times and one.times[0] < begin and one.end >= end]
    seen = sum(begin < time < end for one in there for time in one.times)
    return not others or seen > 0.5 * rate * (end - begin) * len(there)


def controls(
    own: Sequence[Flow], rate: float, *, arrived: bool, called: bool
) -> tuple[Control, ...]:
    """The cells are there that rate and time demand, and mail went with them.

    `called`: whether the call was seen that the link began with.
    """
    due = sum(one.seconds * rate for one in own)
    seen = sum(len(one.times) for one in own)
    return (
        Control(
            f"at least {DUE:.0%} of the cells that {rate:g} a second demand are seen",
            bool(seen) and seen >= DUE * due,
            f"{seen:,} cells, {due:,.0f} due" if seen else "none",
        ),
        Control("a mail went over this link, and all of its mails arrived", arrived),
        Control("the call is seen that it began with", called),
        Control(
            "where TCP may cut is known, from both ends' SYN",
            any(one.times for one in own) and all(one.segment for one in own if one.times),
        ),
    )


def looked(own: Sequence[Flow]) -> str:
    """What was looked at, for the row."""
    seen, seconds = sum(len(one.times) for one in own), sum(one.seconds for one in own)
    return f"{seen:,} cells in {seconds:.0f} s, {len(own)} connections"
