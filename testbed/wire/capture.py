"""The sniffer, seen from the harness: does it listen, has it seen everything, and what it wrote.

Whether it listens is not believed but tried: a marker packet is sent, and must stand in the file.
Both bridges are read in order, so once a marker stands there, all that passed before it does too.
(Packets that came after the last marker may be missing: dumpcap stops before it has read them.)
"""

from __future__ import annotations

import io
import json
import random
import re
import struct
import tarfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from docker.errors import APIError
from docker.models.containers import Container

from testbed.engine import refused
from testbed.errors import DockerError
from testbed.web import Web
from testbed.wire import pcapng

FILE = "/captures/web.pcapng"
"""Where the sniffer writes, in its own container."""

MARK_WITHIN = 15.0
"""Seconds that a marker has to stand in the file."""
STOP_WITHIN = 20
"""Seconds that the sniffer has to end after SIGINT."""

SYSLOG_TWIN = b"<13>unlogged-twin "
"""How a datagram of silent-syslog's control begins; the name of a node follows."""

DNS_TWIN = "unlogged-twin-"
"""How the name begins that dns-late's control looks up; the name of a node follows."""

_AGENT = Path(__file__).with_name("capture_agent.py")


@dataclass(frozen=True)
class Counts:
    """What dumpcap says of one interface when it ends: packets received and dropped."""

    received: int
    dropped: int


@dataclass(frozen=True)
class CaptureFile:
    """A finished capture. If it is not complete, `why` says so, and no row may rest on it."""

    path: Path
    packets: dict[str, int]
    """Packets in the file by interface."""
    drops: dict[str, int]
    """Packets dropped by interface, by dumpcap's own word."""
    complete: bool
    why: str = ""

    @property
    def total(self) -> int:
        """Packets of all interfaces."""
        return sum(self.packets.values())

    @property
    def dropped(self) -> int:
        """Drops of all interfaces."""
        return sum(self.drops.values())


def parse_counts(said: str) -> dict[str, Counts]:
    """dumpcap's last words on stderr, by interface (what it says while it runs is passed over).

    `Packets received/dropped on interface 'br0': 17/0 (pcap:0/dumpcap:0/flushed:0/ps_ifdrop:0) ...`

    Drops are the kernel's (pcap) and dumpcap's own. Its total also has what came after SIGINT
    (flushed), which is later than the last marker; ps_ifdrop is the interface's own affair.
    """
    return {
        match["name"]: Counts(int(match["received"]), int(match["pcap"]) + int(match["own"]))
        for match in re.finditer(
            r"received/dropped on interface '(?P<name>[^']+)': (?P<received>\d+)/\d+"
            r" \(pcap:(?P<pcap>\d+)/dumpcap:(?P<own>\d+)/",
            said,
        )
    }


def examine(
    path: Path, data: bytes, said: str, status: int, bridges: tuple[str, ...], *, marked: bool
) -> CaptureFile:
    """What a finished capture is worth, from the file and dumpcap's last words. Pure."""
    counts = parse_counts(said)
    problems = []
    try:
        found = pcapng.count(data)
    except pcapng.BadCapture as error:
        found = {}
        problems.append(f"the file is not whole: {error}")
    if status:
        problems.append(f"the sniffer ended with status {status}")
    if not marked:
        problems.append("the last marker is not in the file")
    for bridge in bridges:
        if bridge not in counts:
            problems.append(f"no last word about {bridge}")
        elif counts[bridge].dropped:
            problems.append(f"{counts[bridge].dropped} packets dropped on {bridge}")
        if found and bridge not in found:
            problems.append(f"nothing of {bridge} in the file")
        elif found and found[bridge].cut:
            problems.append(f"{found[bridge].cut} packets of {bridge} cut short")
    return CaptureFile(
        path,
        {name: count.packets for name, count in found.items()},
        {name: count.dropped for name, count in counts.items()},
        complete=not problems,
        why="; ".join(problems),
    )


class Capture:
    """The sniffer of a web, for the time of one run."""

    def __init__(self, web: Web, rng: random.Random) -> None:
        """`rng` makes the markers' labels: nobody can guess them."""
        self.web, self.rng = web, rng
        self.bridges = (web.topology.bridge, web.topology.edge_bridge)
        self._listening = False
        self._twins_sent = False

    def wait_listening(self) -> None:
        """Until the sniffer has proved on both bridges that it captures; else DockerError."""
        container = self._container()
        if container.status != "running":
            raise DockerError(f"sniffer: not running ({self._last_line(container)}): make down")
        if not self._send(self._markers()):
            raise DockerError("sniffer: does not see its own marker packets: make down, then again")
        self._listening = True

    def mark(self) -> bool:
        """Send a marker over both bridges; True once all that came before is in the file."""
        return self._send(self._markers())

    def twins(self) -> bool:
        """Controls under each node's address: a datagram to port 514 of a mail host, and a look-up.

        The nodes don't take part: the sniffer sends them itself, and they are known by their
        payload and their hardware address. The look-up goes to a mail host too, where nobody
        answers it. True once all stand in the file.
        """
        topology = self.web.topology
        to = topology.recipient.host
        packets = []
        for node in topology.remailers:
            said = SYSLOG_TWIN + node.name.encode() + b" " + self._label().encode()
            packets.append(_packet(said, to, 514, source=node.host))
            asked = dns_query(f"{DNS_TWIN}{node.name}-{self.rng.getrandbits(32):08x}")
            packets.append(_packet(asked, to, 53, source=node.host))
        self._twins_sent = self._send(packets)
        return self._twins_sent

    def finish(self, out: Path) -> CaptureFile:
        """Stop the sniffer behind a last marker, and bring its file to `out`/web.pcapng.

        Never raises for what the sniffer did or didn't: then the capture is not complete.
        """
        path = out / "web.pcapng"
        path.unlink(missing_ok=True)
        container = self._container()
        if container.status != "running":
            why = f"the sniffer was not running: {self._last_line(container)}"
            return CaptureFile(path, {}, {}, complete=False, why=why)
        if not self._twins_sent:
            self.twins()
        marked = self._listening and self.mark()
        try:
            container.kill("SIGINT")
            status = int(container.wait(timeout=STOP_WITHIN)["StatusCode"])
            data = _fetch(container)
        except APIError as error:
            return CaptureFile(path, {}, {}, complete=False, why=str(refused(error)))
        out.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return examine(path, data, self._said(container), status, self.bridges, marked=marked)

    def restart(self) -> None:
        """Let the sniffer capture again, into a new file, for a web that stays up."""
        self._container().start()
        self._listening = self._twins_sent = False
        self.wait_listening()

    # -- the sniffer's container -------------------------------------------------------------

    def _container(self) -> Container:
        return self.web.container("sniffer")

    def _said(self, container: Container) -> str:
        """What the sniffer has said since it was last started."""
        container.reload()
        started = re.sub(r"(\.\d{6})\d*Z$", r"\1+00:00", container.attrs["State"]["StartedAt"])
        since = datetime.fromisoformat(started).timestamp()
        said: bytes = container.logs(stdout=True, stderr=True, since=since)
        return said.decode(errors="replace")

    def _last_line(self, container: Container) -> str:
        lines = self._said(container).split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "without a word")

    def _label(self) -> str:
        return f"unlogged-mark-{self.rng.getrandbits(64):016x}"

    def _markers(self) -> list[dict[str, Any]]:
        """A marker for each bridge: a DNS query on the web's, a datagram on the edge's."""
        edge = f"{self.web.topology.web}_edge"
        host = self.web.container(self.web.topology.sender.name)
        address = host.attrs["NetworkSettings"]["Networks"].get(edge, {}).get("IPAddress")
        packets = [_packet(dns_query(self._label()), self.web.topology.dns, 53)]
        if address:
            packets.append(_packet(self._label().encode(), address, 9))
        return packets

    def _send(self, packets: list[dict[str, Any]]) -> bool:
        """Send packets from the sniffer's own place, and wait until they stand in the file."""
        task = json.dumps({"file": FILE, "within": MARK_WITHIN, "packets": packets})
        argv = ["python3", "-I", "-c", _AGENT.read_text(), task]
        try:
            return bool(self._container().exec_run(argv).exit_code == 0)
        except APIError:
            return False  # it has just ended; finish() says why


def _packet(payload: bytes, to: str, port: int, source: str | None = None) -> dict[str, Any]:
    return {"payload": payload.hex(), "to": to, "port": port, "source": source}


def dns_query(label: str) -> bytes:
    """A query for `label`.test, type A (RFC 1035 section 4)."""
    question = b"".join(bytes([len(part)]) + part.encode() for part in (label, "test")) + b"\0"
    return struct.pack("!6H", 0x756E, 0, 1, 0, 0, 0) + question + struct.pack("!2H", 1, 1)


def _fetch(container: Container) -> bytes:
    """The capture file out of the sniffer's container (which may have ended)."""
    chunks, _ = container.get_archive(FILE)
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        member = tar.extractfile(tar.getmembers()[0])
        if member is None:
            raise DockerError(f"sniffer: {FILE} is not a file: make down, then again")
        return member.read()
