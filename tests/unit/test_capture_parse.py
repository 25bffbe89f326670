"""What a capture is worth: dumpcap's last words, the file's blocks, and both together."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from testbed.wire import pcapng
from testbed.wire.capture import Counts, dns_query, examine, parse_counts

SAID = """\
Capturing on 'ulw-1' and 'ule-1'
File: /captures/web.pcapng
Packets: 2 Packets: 16 Packets captured: 3
Packets received/dropped on interface 'ulw-1': 2/0 (pcap:0/dumpcap:0/flushed:0/ps_ifdrop:0) (100.0%)
Packets received/dropped on interface 'ule-1': 1/0 (pcap:0/dumpcap:0/flushed:0/ps_ifdrop:0) (0.0%)
"""
BRIDGES = ("ulw-1", "ule-1")


def block(kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    length = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", kind) + length + body + length


def interface(name: str) -> bytes:
    option = struct.pack("<2H", 2, len(name)) + name.encode() + bytes(-len(name) % 4)
    return block(1, struct.pack("<HHI", 1, 0, 0) + option + bytes(4))


def packet(number: int, data: bytes, original: int | None = None) -> bytes:
    size = len(data) if original is None else original
    return block(6, struct.pack("<5I", number, 0, 0, len(data), size) + data)


HEAD = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
FILE = (
    HEAD
    + interface(BRIDGES[0])
    + interface(BRIDGES[1])
    + packet(0, b"abcde")
    + packet(1, b"x")
    + packet(0, b"")
)


def look(data: bytes = FILE, said: str = SAID, status: int = 0, marked: bool = True) -> str:
    result = examine(Path("web.pcapng"), data, said, status, BRIDGES, marked=marked)
    assert result.complete == (not result.why)
    return result.why


def test_last_words() -> None:
    assert parse_counts(SAID) == {"ulw-1": Counts(2, 0), "ule-1": Counts(1, 0)}
    assert parse_counts("Capturing on 'ulw-1'\n") == {}


def test_drops_count_and_what_came_after_the_end_does_not() -> None:
    said = SAID.replace("2/0 (pcap:0/dumpcap:0/flushed:0", "9/10 (pcap:4/dumpcap:1/flushed:5")
    assert parse_counts(said)["ulw-1"] == Counts(9, 5)
    assert "5 packets dropped on ulw-1" in look(said=said)
    late = SAID.replace("2/0 (pcap:0/dumpcap:0/flushed:0", "9/5 (pcap:0/dumpcap:0/flushed:5")
    assert not look(said=late)


def test_packets_of_each_interface() -> None:
    assert pcapng.count(FILE) == {"ulw-1": pcapng.Count(2), "ule-1": pcapng.Count(1)}


def test_whole() -> None:
    result = examine(Path("web.pcapng"), FILE, SAID, 0, BRIDGES, marked=True)
    assert result.complete
    assert (result.total, result.dropped) == (3, 0)


@pytest.mark.parametrize("end", range(len(HEAD) + 1, len(FILE)))
def test_a_file_that_ends_early(end: int) -> None:
    """Cut within a block it is not whole; cut between two blocks an interface may be missing."""
    try:
        found = pcapng.count(FILE[:end])
    except pcapng.BadCapture:
        assert "the file is not whole" in look(FILE[:end])
    else:
        assert sum(c.packets for c in found.values()) < 3


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no interface"),
        (b"not a capture at all", "at byte 0"),
        (HEAD + interface("ulw-1") + packet(3, b"x"), "an interface that is not there"),
        (HEAD + interface("ulw-1"), "nothing of ule-1"),
        (HEAD + interface("ulw-1") + interface("ule-1") + packet(0, b"ab", 9), "cut short"),
    ],
)
def test_bad_files(data: bytes, why: str) -> None:
    assert why in look(data)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"status": 137}, "ended with status 137"),
        ({"marked": False}, "last marker"),
        ({"said": "Capturing on 'ulw-1'\n"}, "no last word about ule-1"),
    ],
)
def test_why_not_complete(change: dict[str, object], why: str) -> None:
    assert why in look(**change)  # type: ignore[arg-type]


def test_a_marker_is_a_query() -> None:
    query = dns_query("mark-1")
    assert query[12:] == b"\x06mark-1\x04test\x00\x00\x01\x00\x01"
    assert query[4:6] == b"\x00\x01"
