"""What the wire shows of a link of cells: an even one passes, each thing planted is named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from wire_rows import Sample, Tape, hello, record

from remailer.link.geometry import CELL, RECORD
from testbed.topology import LINK_PORT, PROBE_PORT, Link, Node
from testbed.verdict import Control, Evidence, Finding, Status
from testbed.wire import cells, links
from testbed.wire.asked import OF_IP, OF_TCP
from testbed.wire.capture import CaptureFile
from testbed.wire.cells import Flow, Rule
from testbed.wire.packets import ACK, CLIENT_HELLO, FIN, PSH, SERVER_HELLO, SYN, Stream, Wire
from testbed.wire.packets import wire as packed

A, B = "10.0.0.11", "10.0.0.12"
RATE = 50.0
"""A tape's frame takes 10 ms, and both sides send in turn."""
WHOLE = record(23, RECORD)


def link(sent: list[bytes], received: list[bytes]) -> tuple[Stream, Wire]:
    """A connection with these records behind its handshake."""
    tape = Tape()
    hellos = (hello(CLIENT_HELLO, "c"), hello(SERVER_HELLO, "s"))
    shake = record(22, 500), record(22, 120) + record(23, 2100)
    tape.tcp(A, B, LINK_PORT, [shake[0], record(23, 2000), *sent], [shake[1], *received], hellos)
    wire = tape.wire()
    return wire.streams[0], wire


def flow(sent: list[bytes], received: list[bytes] | None = None) -> Flow:
    stream, wire = link(sent, [WHOLE] * len(sent) if received is None else received)
    return replace(cells.flow(stream, {p.frame: p.time for p in wire.packets}), segment=1448)


def accused(own: Flow, others: list[Flow] | None = None, rate: float = RATE) -> list[Evidence]:
    counted = Counter(cut for other in others or [] for _, cut in other.cuts)
    found = cells.broken([own], others or [], rate, 0, cells.usual_cut(counted))
    return [told for _, told in found]


def test_an_even_link_passes_both_ways() -> None:
    stream, wire = link([WHOLE] * 300, [WHOLE] * 300)
    times = {p.frame: p.time for p in wire.packets}
    for way in (stream, cells.turned(stream)):
        own = replace(cells.flow(way, times), segment=1448)
        assert accused(own) == []
        assert len(own.times) == 300
        assert cells.carried(way) == 300 * CELL
        assert all(c.found for c in cells.controls([own], RATE, arrived=True, called=True))


@pytest.mark.parametrize("size", [8017, RECORD - 1, RECORD + 1, 24])
def test_a_record_of_another_size_is_shown(size: int) -> None:
    own = flow([WHOLE] * 20 + [record(23, size)] + [WHOLE] * 20)
    (found,) = accused(own)
    assert f"a record of {size} bytes" in found.what
    assert int(found.where.removeprefix("frame ")) > 40


def test_what_is_no_cell_before_the_first_cell_is_the_handshake_or_is_shown() -> None:
    assert accused(flow([record(23, 1500), *[WHOLE] * 20])) == []
    assert accused(flow([*[record(23, 1500)] * 9, *[WHOLE] * 20]))


def test_a_small_mail_behind_the_handshake_of_a_connection_without_cells_is_shown() -> None:
    """Mail past the pacer, on a connection of its own: too small to be no handshake by itself."""
    usual = [flow([WHOLE] * 300) for _ in range(5)]
    small = flow([record(23, 900), record(23, 20)], [])
    ((rule, found),) = cells.broken([usual[0], small], usual[1:], RATE, 0)
    assert rule is Rule.HANDSHAKE
    assert "2920 bytes before the first cell" in found.what
    assert list(cells.broken([usual[0], flow([], [])], usual[1:], RATE, 0)) == []


def test_a_record_that_the_capture_ends_in_is_none_of_another_size() -> None:
    assert accused(flow([WHOLE] * 20 + [WHOLE[:700]])) == []


def test_a_way_in_which_no_cell_is_whole_is_shown_too() -> None:
    assert accused(flow([record(23, 8017)] * 40))


def paused(*, at: int, frames: int) -> Flow:
    """A link on which the peer goes on, and we don't."""
    sent = [WHOLE] * at + [b""] * frames + [WHOLE] * at
    return flow(sent)


def test_who_pauses_while_others_go_on_is_accused() -> None:
    other = flow([WHOLE] * 600)
    own = paused(at=100, frames=250)
    (found,) = accused(own, [other, other])
    assert "without a cell, while other nodes went on" in found.what


def test_cover_that_never_comes_again_is_a_pause_too() -> None:
    own = flow([WHOLE] * 100 + [b""] * 300)
    assert accused(own, [flow([WHOLE] * 600)])


def test_when_the_whole_web_pauses_nobody_is_accused_and_nothing_known() -> None:
    own = paused(at=60, frames=250)
    assert accused(own, [own, own]) == []
    even, arrived, *_ = cells.controls([own], RATE, arrived=True, called=True)
    assert not even.found
    assert arrived.found


def cut(after: int, *, times: int = 1, segment: int = 1448) -> Flow:
    """A link on which some cells are in two packets, besides the first, which always is."""
    pieces = [WHOLE[:after], WHOLE[after:]]
    sent = [WHOLE[:1448], WHOLE[1448:], *[WHOLE] * 60, *(pieces * times), *[WHOLE] * 30]
    return replace(flow(sent), segment=segment)


def test_a_cell_in_pieces_is_shown_but_for_the_first_which_waits_for_tcps_window() -> None:
    even = replace(flow([WHOLE] * 90), segment=1448)
    found, *rest = accused(cut(4096, times=9), [])
    assert "a cell in 2 packets, cut after 4096 bytes" in found.what
    assert int(found.where.removeprefix("frame ")) > 120
    assert len(rest) == 8
    assert accused(cut(4096, times=9, segment=0), []) == []
    assert accused(cut(4096, times=1), [even]) == []  # a peer that read late
    assert len(accused(cut(4096, times=2), [even])) == 2


def test_cuts_between_segments_are_tcps_unless_other_nodes_have_none() -> None:
    even = replace(flow([WHOLE] * 90), segment=1448)
    assert accused(cut(2 * 1448, times=2), [even]) == []
    found = accused(cut(2 * 1448, times=9), [even])
    assert [one.what for one in found] == [
        "a cell in 2 packets, while those of other nodes come in 1"
    ] * 9
    assert accused(cut(2 * 1448, times=9), [cut(1448, times=9), even]) == []


def unpushed(frames: range, *, again: bool = False) -> Flow:
    """A link on which these packets have no PSH; or none has, of what is sent a second time."""
    _, wire = link([WHOLE] * 90, [WHOLE] * 90)
    packets = [replace(p, flags=p.flags & ~PSH) if p.frame in frames else p for p in wire.packets]
    if again:
        last = packets[-1].frame
        sent = [p for p in packets if p.payload]
        packets += [replace(p, frame=last + i, flags=ACK) for i, p in enumerate(sent, 1)]
    times = {p.frame: p.time for p in packets}
    return replace(cells.flow(packed(packets).streams[0], times), segment=1448)


def test_a_cell_that_is_not_pushed_is_shown_if_it_is_not_the_only_one() -> None:
    even = replace(flow([WHOLE] * 90), segment=1448)
    found = accused(unpushed(range(41, 45)), [even])
    assert [(one.where, one.what) for one in found] == [
        ("frame 41", "a cell ends without PSH"),
        ("frame 43", "a cell ends without PSH"),
    ]
    assert accused(unpushed(range(41, 43)), [even]) == []
    assert accused(unpushed(range(0), again=True), [even]) == []


def test_where_a_packet_goes_on_behind_a_cell_it_need_not_be_pushed_there() -> None:
    heap = b"".join([WHOLE] * 90)
    tape = Tape()
    tape.tcp(A, B, LINK_PORT, [heap[at : at + 10_000] for at in range(0, len(heap), 10_000)])
    packets = [replace(p, flags=p.flags & ~PSH) for p in tape.packets]
    times = {p.frame: p.time for p in packets}
    (last,) = cells.flow(packed(packets).streams[0], times).unpushed
    assert last == packets[-1].frame


def ended(*, cells_heard: int = 400, theirs_first: bool = False) -> Flow:
    """A link on which we hang up after 400 cells; or they do, and we then."""
    tape = Tape()
    tape.tcp(A, B, LINK_PORT, [WHOLE] * 400, [WHOLE] * cells_heard)
    ends = {"source_port": 50000, "target_port": LINK_PORT, "stream": 0}
    back = {"source_port": LINK_PORT, "target_port": 50000, "stream": 0}
    ways = [(A, B, ends), (B, A, back)]
    for source, target, ports in reversed(ways) if theirs_first else ways:
        tape.put(source, target, "tcp", flags=FIN | ACK, **ports)
    wire = tape.wire()
    return cells.flow(wire.streams[0], {p.frame: p.time for p in wire.packets})


def test_who_hangs_up_on_a_peer_that_is_there_is_accused() -> None:
    (found,) = accused(ended())
    assert found.what == "it hung up after 400 cells, though the other end was there"
    assert int(found.where.removeprefix("frame ")) == 2 + 800 + 1


def test_who_is_hung_up_on_is_not_nor_who_has_heard_nothing_for_long() -> None:
    assert accused(ended(theirs_first=True)) == []
    silent = accused(ended(cells_heard=10))
    assert [found.what for found in silent if "hung up" in found.what] == []


def test_what_was_hung_up_before_the_letters_is_nobodys_fault() -> None:
    own = ended()
    assert list(cells.broken([own], [], RATE, since=own.hung_up[1])) == []


def test_cells_above_the_rate_are_shown() -> None:
    (found,) = accused(flow([WHOLE] * 200), rate=RATE / 2)
    assert "200 cells where" in found.what


def test_without_cells_or_without_mail_nothing_is_known() -> None:
    def open_(controls: tuple[Control, ...]) -> list[bool]:
        return [control.found for control in controls]

    assert open_(cells.controls([], RATE, arrived=True, called=True)) == [False, True, True, False]
    own = flow([WHOLE] * 20)
    assert open_(cells.controls([own], RATE, arrived=False, called=True)) == [
        True,
        False,
        True,
        True,
    ]
    late = replace(own, times=own.times[::2])
    assert open_(cells.controls([late], RATE, arrived=True, called=True)) == [
        False,
        True,
        True,
        True,
    ]
    assert open_(cells.controls([own], RATE, arrived=True, called=False)) == [
        True,
        True,
        False,
        True,
    ]
    blind = replace(own, segment=0)
    assert open_(cells.controls([blind], RATE, arrived=True, called=True))[-1] is False


class Cells(Sample):
    """A web of two with one connection, which bravo was called on."""

    def __init__(self) -> None:
        super().__init__(Link.CELLS)
        self.topology = replace(self.topology, cells=int(RATE))
        for node in self.topology.remailers:
            self.rude(node)
        offers = (*[""] * (len(OF_IP) + OF_TCP.index("tcp.options.mss_val")), "1460")
        self.tape.packets = [
            replace(p, chosen=offers) if p.flags & SYN else p for p in self.tape.packets
        ]

    def connection(self, a: Node, b: Node, body: bytes) -> int:
        """The first mail's connection has both directions."""
        if a.name != "alpha":
            return 0
        hellos = (hello(CLIENT_HELLO, "c"), hello(SERVER_HELLO, "s"))
        sent = [record(22, 1500), record(23, 2000), *[WHOLE] * 160]
        received = [record(22, 1200) + record(23, 2100), *[WHOLE] * 161]
        return self.tape.tcp(a.host, b.host, LINK_PORT, sent, received, hellos)

    def rude(self, node: Node) -> None:
        """What the prober does when the node has called it (probe_agent.be_rude)."""
        prober, pieces = self.topology.prober, [WHOLE * 3 + WHOLE[:8000], WHOLE[8000:]]
        hellos = (hello(CLIENT_HELLO, f"c{node.name}"), hello(SERVER_HELLO, f"s{node.name}"))
        first = record(23, 1017) + record(23, 15017)
        sent = [record(22, 1500), record(23, 2000), *[WHOLE] * 9]
        received = [record(22, 1200) + record(23, 2100), first, *pieces * 5]
        begin = self.tape.tcp(node.host, prober, PROBE_PORT, sent, received, hellos)
        ports = {"source_port": PROBE_PORT, "target_port": self.tape.packets[begin - 1].source_port}
        stream = self.tape.packets[begin - 1].stream
        self.tape.tcp(prober, node.host, LINK_PORT, [])
        self.tape.put(prober, node.host, "tcp", flags=FIN | ACK, stream=stream, sequence=1, **ports)
        self.tape.packets = [
            replace(p, flags=p.flags & ~PSH) if p.stream == stream and p.source == prober else p
            for p in self.tape.packets
        ]


LINKS = ("alpha>bravo", "bravo>alpha")


def rows_of(sample: Sample) -> dict[str, Finding]:
    whole = CaptureFile(Path("web.pcapng"), {}, {}, complete=True)
    wire = sample.tape.wire()
    found = links.findings(wire, sample.topology, sample.canaries, sample.letters, whole, 0)
    return {f"{f.claim} {f.subject}": f for f in found}


def test_one_connection_vouches_for_both_directions_of_a_link() -> None:
    sample = Cells()
    found = rows_of(sample).values()
    rows = {(f.claim, f.subject): f.status for f in found if ">" in f.subject}
    assert len(rows) == 2 * 5
    assert set(rows.values()) == {Status.PASS}


@pytest.mark.parametrize("kept", [rule for rule in Rule if rule is not Rule.PAUSE])
def test_a_rule_that_the_prober_is_not_accused_of_leaves_the_row_open(
    kept: Rule, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A check that has gone blind, for whatever reason."""
    broken, needless = cells.broken, links._Look._needless

    def blind(found: Iterator[cells.Broken]) -> Iterator[cells.Broken]:
        return (one for one in found if one[0] is not kept)

    monkeypatch.setattr(cells, "broken", lambda *given: blind(broken(*given)))
    monkeypatch.setattr(links._Look, "_needless", lambda *given: blind(needless(*given)))
    rows = rows_of(Cells())
    assert {rows[f"link-cells {link}"].status for link in LINKS} == {Status.INCONCLUSIVE}
    told = [c for c in rows[f"link-cells {LINKS[0]}"].controls if not c.found]
    assert [c.where for c in told] == [f"not of {kept}"]


def test_a_pause_that_would_not_be_told_leaves_the_row_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cells, "_went_on", lambda *_: False)
    rows = rows_of(Cells())
    assert {rows[f"link-cells {link}"].status for link in LINKS} == {Status.INCONCLUSIVE}


def test_what_is_said_in_clear_is_who_calleds_alone() -> None:
    sample = Cells()
    alpha, bravo = sample.alpha.host, sample.bravo.host
    sample.tape.tcp(alpha, bravo, LINK_PORT, [b"MAIL FROM:<>\r\n"])
    found = rows_of(sample).values()
    failed = {(f.claim, f.subject) for f in found if f.status is Status.FAIL}
    assert failed == {("link-encrypted", "alpha>bravo"), ("link-ephemeral", "alpha>bravo")}


def test_who_calls_a_peer_again_though_there_is_a_link_is_accused() -> None:
    sample = Cells()
    alpha, bravo = sample.alpha.host, sample.bravo.host
    first = next(s for s in sample.tape.wire().streams if s.server_port == LINK_PORT)
    # While its cells pass: a call by TCP alone, and its end.
    at = next(i for i, p in enumerate(sample.tape.packets) if p.frame == first.frame) + 60
    ports = {"source_port": 50999, "target_port": LINK_PORT, "stream": 999}
    call = replace(sample.tape.packets[0], source=bravo, target=alpha, protocol="tcp", **ports)
    packets = [*sample.tape.packets[:at], replace(call, flags=SYN), *sample.tape.packets[at:]]
    sample.tape.packets = [
        replace(p, frame=n, time=n / 100) for n, p in enumerate(packets, start=1)
    ]
    found = rows_of(sample).values()
    (failed,) = [f for f in found if f.status is Status.FAIL]
    assert (failed.claim, failed.subject) == ("link-cells", "bravo>alpha")
    assert "calls, though there is a link" in failed.evidence[0].what
