"""Evidence from a capture, with the packet that it stands in. Pure: packets in, evidence out."""

from __future__ import annotations

from collections.abc import Sequence

from testbed.hexdump import around, dump
from testbed.topology import Topology
from testbed.verdict import Context, Evidence
from testbed.wire.canary import Hit
from testbed.wire.packets import Bytes, Packet


def shown(data: bytes, most: int = 60) -> str:
    """Bytes as one line that people can read: printable ASCII as it is, the rest as \\xNN."""
    text = "".join(chr(b) if 32 <= b < 127 and b != 92 else f"\\x{b:02x}" for b in data)
    text = text.replace("\\x0d\\x0a", " ").strip()
    return repr(text if len(text) <= most else text[: most - 1] + "…").replace("\\\\", "\\")


class Frames:
    """The packets of one capture by number, each in a line for people."""

    def __init__(self, packets: Sequence[Packet], topology: Topology) -> None:
        """Times are told from the first packet on."""
        self._packets = {packet.frame: packet for packet in packets}
        self._begun = packets[0].time if packets else 0.0
        self.whois = topology.whois

    def told(self, frame: int, what: str, dumped: tuple[str, ...] = ()) -> Evidence:
        """Something that a packet shows; without a dump of ours its payload begins one."""
        packet = self._packets.get(frame)
        own = dump(packet.payload) if packet else ()
        return Evidence(f"frame {frame}", what, Context(dumped or own, packet=self._line(packet)))

    def at(self, way: Bytes, offset: int, lead: str) -> Evidence:
        """What stands somewhere in what went one way."""
        what = lead + shown(way.data[offset : offset + 80])
        return self.told(way.frame(offset), what, around(way.data, offset))

    def marked(self, frame: int, hit: Hit) -> Evidence:
        """A mark in what a packet brought."""
        what = f"{hit.mark} ({hit.form}): {shown(hit.excerpt)}"
        return self.told(frame, what, dump(hit.excerpt, hit.start))

    def _line(self, packet: Packet | None) -> str:
        if packet is None:
            return ""
        ends = [
            self.whois(host) + (f" port {port}" if port else "")
            for host, port in (
                (packet.source, packet.source_port),
                (packet.target, packet.target_port),
            )
        ]
        return (
            f"frame {packet.frame}, {packet.time - self._begun:.3f} s: {packet.protocol}, "
            f"{ends[0]} to {ends[1]}, {len(packet.payload)} bytes"
        )
