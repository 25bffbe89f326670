"""Evidence from a capture says which packet it was, when, between whom, and what stands around."""

from __future__ import annotations

from testbed.topology import Topology
from testbed.wire.canary import Hit
from testbed.wire.frames import Frames
from testbed.wire.packets import Bytes, Packet

TOPOLOGY = Topology(nodes=2)
ALPHA, BRAVO = TOPOLOGY.remailers
SAID = b"MAIL FROM:<alice@sender.test>\r\n"
PACKETS = [
    Packet(6, 100.0, "", "", BRAVO.host, ALPHA.host, "tcp", 2525, 40000),
    Packet(7, 100.25, "", "", ALPHA.host, BRAVO.host, "tcp", 40000, 2525, payload=SAID),
]
FRAMES = Frames(PACKETS, TOPOLOGY)
LINE = f"frame 7, 0.250 s: tcp, alpha port 40000 to bravo port 2525, {len(SAID)} bytes"


def test_a_packet_in_a_line_with_its_payload() -> None:
    evidence = FRAMES.told(7, "early data")
    assert (evidence.where, evidence.what) == ("frame 7", "early data")
    assert evidence.context.packet == LINE
    assert evidence.context.dump[0].endswith("|MAIL FROM:<alice|")


def test_what_went_one_way_is_shown_at_its_offset_there() -> None:
    way = Bytes(b"EHLO x\r\n" + SAID, (0, 8), (6, 7))
    evidence = FRAMES.at(way, 8, "in clear: ")
    assert evidence.what == "in clear: 'MAIL FROM:<alice@sender.test>'"
    assert evidence.context.packet == LINE
    assert evidence.context.dump[0].startswith("00000000  45 48 4c 4f")


def test_a_mark_has_what_surrounds_it() -> None:
    hit = Hit.around(SAID, 11, 16, "raw", "alice")
    assert FRAMES.marked(7, hit).context.dump[0].endswith("|MAIL FROM:<alice|")


def test_a_packet_that_nobody_knows_is_a_number() -> None:
    assert FRAMES.told(99, "x").context.lines == ()
