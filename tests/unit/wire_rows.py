"""Synthetic captures: conversations said in a line or two, as packets that tshark would show."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field, replace
from itertools import zip_longest

from testbed.topology import LINK_PORT, Link, Node, Topology
from testbed.traffic import Letter
from testbed.wire.canary import Canaries
from testbed.wire.capture import SYSLOG_TWIN
from testbed.wire.packets import (
    ACK,
    CLIENT_HELLO,
    PSH,
    SERVER_HELLO,
    SYN,
    Hello,
    Packet,
    Wire,
    wire,
)

BRIDGE = "02:42:00:00:00:01"


def mac(host: str) -> str:
    if ":" in host:
        return "33:33:00:00:00:01"
    return "02:42:" + ":".join(f"{int(part):02x}" for part in host.split("."))


def record(kind: int, size: int) -> bytes:
    """A TLS record of unreadable bytes."""
    return bytes([kind, 3, 3]) + size.to_bytes(2, "big") + random.Random(size).randbytes(size)


@dataclass
class Tape:
    """Packets in the order in which they are put on it."""

    packets: list[Packet] = field(default_factory=list)
    streams: int = 0

    def put(self, source: str, target: str, protocol: str, **more: object) -> int:
        frame = len(self.packets) + 1
        given = {"mac": mac(source), "target_mac": mac(target), **more}
        self.packets.append(
            Packet(frame, frame / 100, source=source, target=target, protocol=protocol, **given)  # type: ignore[arg-type]
        )
        return frame

    def udp(self, source: str, target: str, port: int, payload: bytes, **more: object) -> int:
        return self.put(
            source, target, "udp", source_port=40000, target_port=port, payload=payload, **more
        )

    def tcp(
        self,
        client: str,
        server: str,
        port: int,
        sent: list[bytes],
        received: list[bytes] = [],  # noqa: B006
        hellos: tuple[Hello, ...] = (),
    ) -> int:
        """A connection: its first frame."""
        number, self.streams = self.streams, self.streams + 1
        ports = {"source_port": 50000 + number, "target_port": port, "stream": number}
        back = {"source_port": port, "target_port": 50000 + number, "stream": number}
        first = self.put(client, server, "tcp", flags=SYN, sequence=99, **ports)
        self.put(server, client, "tcp", flags=SYN | ACK, sequence=499, **back)
        waiting = {hello.kind: hello for hello in hellos}
        at = {CLIENT_HELLO: 100, SERVER_HELLO: 500}
        # In turns: who waits for whom is part of what is measured.
        for parts in zip_longest(sent, received):
            for part, ends, which, kind in (
                (parts[0], (client, server), ports, CLIENT_HELLO),
                (parts[1], (server, client), back, SERVER_HELLO),
            ):
                if part:
                    self.put(
                        *ends, "tcp", payload=part, sequence=at[kind], flags=ACK | PSH,
                        hello=waiting.pop(kind, None), **which,
                    )  # fmt: skip
                    at[kind] += len(part)
        return first

    def wire(self) -> Wire:
        return wire(self.packets)


def hello(kind: int, share: str, **more: object) -> Hello:
    values: dict[str, object] = {
        "frame": 1, "kind": kind,
        "versions": (0x0304, 0x0303) if kind == CLIENT_HELLO else (0x0304,),
        "groups": ("X25519MLKEM768",), "shares": (share,), "extensions": (43, 45, 51),
        **more,
    }  # fmt: skip
    return Hello(**values)  # type: ignore[arg-type]


@dataclass
class Sample:
    """A web of two whose wire is as it should be; tests put on the tape what should not be."""

    link: Link = Link.TLS

    def __post_init__(self) -> None:
        self.topology = Topology(nodes=2, link=self.link)
        self.alpha, self.bravo = self.topology.remailers
        self.canaries = Canaries.new(random.Random(7))
        self.letters = [
            self.letter(i, (a.name, b.name)) for i, (a, b) in enumerate(self.topology.links)
        ]
        self.tape = Tape()
        out, home = self.topology.recipient.host, self.topology.sender.host
        for node in self.topology.remailers:
            self.tape.udp(node.host, self.topology.dns, 53, b"query")
            payload = SYSLOG_TWIN + node.name.encode() + b" x"
            self.tape.udp(node.host, out, 514, payload, mac=BRIDGE)
        for letter, (a, b) in zip(self.letters, self.topology.links, strict=True):
            self.tape.tcp(home, a.host, 25, [b"MAIL FROM:<x>\r\n", letter.body])
            self.connection(a, b, letter.body)
            self.tape.tcp(b.host, out, 25, [b"MAIL FROM:<>\r\n", letter.body])
        ordinary = replace(self.letter(90, ()), kind="direct")
        digest = hashlib.sha256(self.canaries.mark(90, "s").encode()).hexdigest()
        self.tape.tcp(home, out, 25, [f"X-Digest: {digest}\r\n".encode()])
        self.letters.append(ordinary)

    def letter(self, number: int, path: tuple[str, ...]) -> Letter:
        body = self.canaries.mark(number, "b").encode() + b"\r\n" + b"text\r\n" * 50
        return Letter(
            number, "matrix", path, "s@sender.test", "r@recipient.test", "s", "<m@sender.test>",
            body, delivered=[b"\r\n\r\n" + body],
        )  # fmt: skip

    def connection(self, a: Node, b: Node, body: bytes) -> int:
        """One mail over the link, as its stage has it."""
        if self.link is Link.SMTP:
            sent = [b"EHLO alpha\r\n", b"MAIL FROM:<>\r\n", body]
            return self.tape.tcp(
                a.host, b.host, LINK_PORT, sent, [b"220 bravo\r\n", b"250 yes\r\n"]
            )
        self.sealed = len(body) + 60
        share = f"{self.tape.streams:064x}"
        return self.tape.tcp(
            a.host, b.host, LINK_PORT,
            [record(22, 1500), record(20, 1) + record(23, 1800), record(23, self.sealed + 17)],
            [record(22, 1200) + record(20, 1) + record(23, 900), record(23, 300), record(23, 60)],
            (hello(CLIENT_HELLO, "c" + share), hello(SERVER_HELLO, "s" + share)),
        )  # fmt: skip
