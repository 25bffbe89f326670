"""How many packets a capture file holds, for each interface: the file's blocks, never the packets.

Nothing here does I/O, and nothing here dissects: that is tshark's work (dissect.py).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

SECTION, INTERFACE, PACKET = 0x0A0D0D0A, 1, 6
"""Block types of draft-ietf-opsawg-pcapng, section 4: header, interface and enhanced packet."""

_NAME = 2
"""The option if_name."""


class BadCapture(ValueError):
    """Not a whole pcapng file: says where it ends being one."""


@dataclass(frozen=True)
class Count:
    """Packets of one interface in a file, and how many of them were not captured whole."""

    packets: int = 0
    cut: int = 0


def count(data: bytes) -> dict[str, Count]:
    """Packets by interface name. Raises BadCapture, also for a file that ends within a block."""
    names: list[str] = []
    counts: dict[str, Count] = {}
    at = 0
    while at < len(data):
        kind, length = _block(data, at)
        if kind == SECTION:
            if data[at + 8 : at + 12] != b"\x4d\x3c\x2b\x1a":
                raise BadCapture(f"at byte {at}: not a little-endian pcapng section")
            names = []
        elif kind == INTERFACE:
            names.append(_interface_name(data[at + 16 : at + length - 4]) or f"#{len(names)}")
            counts.setdefault(names[-1], Count())
        elif kind == PACKET:
            number, _, _, captured, original = struct.unpack_from("<5I", data, at + 8)
            if number >= len(names):
                raise BadCapture(f"at byte {at}: a packet of an interface that is not there")
            old = counts[names[number]]
            counts[names[number]] = Count(old.packets + 1, old.cut + (captured < original))
        at += length
    if not names:
        raise BadCapture("no interface in it")
    return counts


def _block(data: bytes, at: int) -> tuple[int, int]:
    """Type and length of the block at an offset."""
    if at + 12 > len(data):
        raise BadCapture(f"ends within a block at byte {at}")
    kind, length = struct.unpack_from("<2I", data, at)
    if length < 12 or length % 4 or (kind == PACKET and length < 32):
        raise BadCapture(f"at byte {at}: not a pcapng block")
    if at + length > len(data):
        raise BadCapture(f"ends within a block at byte {at}")
    return kind, length


def _interface_name(options: bytes) -> str:
    at = 0
    while at + 4 <= len(options):
        code, length = struct.unpack_from("<2H", options, at)
        if code == _NAME:
            return options[at + 4 : at + 4 + length].rstrip(b"\0").decode(errors="replace")
        at += 4 + length + (-length % 4)
    return ""
