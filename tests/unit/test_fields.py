"""The flags of what a node says: as its kernel sets them, or named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from edge_rows import GIVEN, OF_IP, OF_SYN, Edge
from wire_rows import Tape

from testbed.topology import Topology
from testbed.verdict import Control, Finding, Status
from testbed.wire import choices, fields
from testbed.wire.capture import CaptureFile
from testbed.wire.edges import Edges
from testbed.wire.packets import PSH, SYN, Packet, wire

WHOLE = CaptureFile(Path("web.pcapng"), {}, {}, complete=True)
URG = 32
SEGMENT = 1448


def row(edge: Edge, packets: list[Packet]) -> Finding:
    """Alpha's."""
    found = choices.findings(wire(packets), edge.topology, edge.letters, WHOLE, GIVEN)
    return next(f for f in found if (f.claim, f.subject) == ("wire-fields", "alpha"))


def unpushed(packets: list[Packet], where: Callable[[Packet], bool], times: int) -> list[Packet]:
    """The first of those packets without PSH."""
    chosen = {p.frame for p in [p for p in packets if p.payload and where(p)][:times]}
    return [replace(p, flags=p.flags & ~PSH) if p.frame in chosen else p for p in packets]


@pytest.mark.parametrize("port", ["source_port", "target_port"])
@pytest.mark.parametrize("times", [1, 2])
def test_what_is_said_on_port_25_is_pushed_as_client_and_as_server(port: str, times: int) -> None:
    edge = Edge()
    packets, alpha = list(edge.wire().packets), edge.alpha.host
    found = row(
        edge, unpushed(packets, lambda p: p.source == alpha and getattr(p, port) == 25, times)
    )
    told = [e.what for e in found.evidence]
    assert ["port 25: tcp.flags.push 0, else 1" in what for what in told] == [True] * len(told)
    assert (found.status, len(told)) == ((Status.PASS, 0) if times == 1 else (Status.FAIL, 2))


def test_a_flag_that_no_kernel_sets_is_shown() -> None:
    edge = Edge()
    packets, alpha = list(edge.wire().packets), edge.alpha.host
    odd = next(p for p in packets if p.source == alpha and p.source_port == 25 and p.payload)
    found = row(edge, [replace(p, flags=p.flags | URG) if p is odd else p for p in packets])
    (told,) = found.evidence
    assert "tcp packets with data: tcp.flags 0x0038, else none but ACK, PSH and FIN" in told.what


def test_where_the_prober_pushes_all_nothing_is_known() -> None:
    edge = Edge()
    prober = edge.topology.prober
    packets = [
        replace(p, flags=p.flags | PSH) if p.payload and p.source == prober else p
        for p in edge.wire().packets
    ]
    found = row(edge, packets)
    assert found.status is Status.INCONCLUSIVE
    assert ["tcp.flags.push" in c.where for c in found.controls if not c.found] == [False]


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ([b"x" * 700] * 2, 2),
        ([b"x" * SEGMENT * 2] * 2, 0),  # the window of congestion ends there
        ([b"x" * 700], 0),
    ],
)
def test_where_tcp_itself_may_cut_nothing_need_be_pushed(sent: list[bytes], shown: int) -> None:
    topology = Topology(nodes=2)
    alpha, out = topology.remailers[0].host, topology.recipient.host
    tape = Tape()
    tape.tcp(alpha, out, 25, sent, [b"250 OK\r\n"] * len(sent))
    packets = [
        replace(p, flags=p.flags & ~PSH, chosen=OF_IP + OF_SYN if p.flags & SYN else OF_IP)
        for p in tape.packets
    ]
    edges = Edges(wire(packets), topology, [], Control("whole", found=True))
    assert len(fields.not_pushed(edges, edges.packets(topology.remailers[0]))) == shown


def test_a_packet_that_soon_goes_on_need_not_be_pushed() -> None:
    topology = Topology(nodes=2)
    alpha, out = topology.remailers[0].host, topology.recipient.host
    tape = Tape()
    tape.tcp(alpha, out, 25, [b"x" * 700] * 4)
    for seconds, shown in ((0.001, 0), (0.01, 3)):
        packets = [
            replace(
                p, time=p.frame * seconds, flags=p.flags & ~PSH if p.frame < 6 else p.flags,
                chosen=OF_IP + OF_SYN if p.flags & SYN else OF_IP,
            )
            for p in tape.packets
        ]  # fmt: skip
        edges = Edges(wire(packets), topology, [], Control("whole", found=True))
        assert len(fields.not_pushed(edges, edges.packets(topology.remailers[0]))) == shown
