"""Synthetic captures of the edges: mails that come and go on port 25, said line by line."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from typing import Any

import dns.message
from wire_rows import BRIDGE, hello, mac

from remailer.delivery import LINGER_SECONDS
from testbed.topology import Node, Topology
from testbed.traffic import Letter
from testbed.wire.packets import (
    ACK,
    CLIENT_HELLO,
    FIN,
    PSH,
    RST,
    SERVER_HELLO,
    SYN,
    Packet,
    Wire,
    wire,
)

OF_IP = ("64", "0x00", "0x02", "", "0")
OF_SYN = ("0x1234", "0x0002", "64240", "2,4,8,1,3", "1460", "10")
NUMBER = 0x77AA
GIVEN = {"alpha": ["77aa" + "00" * 6, "00" * 16], "bravo": ["77aa" + "11" * 6]}
"""The random numbers that the kernel gave the nodes."""
MS = 0.001


def changed(values: tuple[str, ...], place: int, value: str) -> tuple[str, ...]:
    return (*values[:place], value, *values[place + 1 :])


@dataclass
class Edge:
    """Two nodes, each with mails that it alone passes on; tests change what is said and when."""

    mails: int = 20
    delays: list[float] = field(default_factory=list)
    """How long the nodes' mails wait; by default as the pool says."""
    greeting: str = "220 {me} ESMTP\r\n"
    taken: bytes = b"250 2.0.0 OK\r\n"
    size: int = 0
    """Added to what MAIL says of the size."""
    reply_after: float = 0.0
    of_ip: tuple[str, ...] = OF_IP
    """Of alpha's last SYN."""
    bound: bool = False
    """Alpha chooses the ports that it speaks from."""
    tls: tuple[str, ...] = ("0x0301",)
    """Of alpha's last ClientHello."""
    mail: bytes = b"To: b\r\n\r\ntext\r\n"
    """Alpha's mails as they are sent."""
    mail_after: float = 0.0
    """Seconds that alpha takes after 354."""
    ends_after: float = MS
    """Seconds that alpha takes after 221; below 0 it stays."""
    resets: bool = False
    """Mail hosts reset alpha's connections after 221."""
    asks_after: float = 0.0
    """Seconds that alpha takes after each answer to a question."""
    pieces: bool = False
    """Alpha's mails go out in two packets."""
    early: float = 0.0
    """Seconds by which alpha's last look-up comes too soon, besides that in time."""
    name: str = "{domain}"
    """What alpha looks up last."""
    number: int = NUMBER
    """Of alpha's last question."""
    kinds: tuple[int, ...] = (15, 1, 28)
    """What alpha asks for before its last conversation, in this order."""
    lost: bool = False
    """The resolver doesn't hear the first of two that are the same."""
    behind: bytes = b""
    """What stands behind alpha's questions."""
    last: float = 0.0
    """When another packet passes, if one does."""
    twins: bool = True
    odd: bool = True
    together: bool = False
    """Alpha's look-ups stand 1.5 s before their conversations, and so among those of others."""
    after: bytes = b""
    """What a node says after each mail that it handed over, before QUIT."""
    quits: bool = True
    """Alpha says QUIT in its last conversation."""
    empty: bytes | None = None
    """What a mail host says in one more conversation, before alpha hangs up without a word."""
    patience: float = 0.5
    """Seconds that alpha waits in it."""
    cut_off: bool = False
    """Alpha hangs up on the last who brings mail, before QUIT."""
    loose: dict[str, Any] = field(default_factory=dict)
    """What alpha sends to the resolver besides."""
    queue: str = "250 2.0.0 Ok: queued as 4F{number}\r\n"

    def __post_init__(self) -> None:
        self.topology = Topology(nodes=2)
        self.alpha, self.bravo = self.topology.remailers
        self.events: list[tuple[float, dict[str, Any]]] = []
        self.talks: list[tuple[float, str, str, list[tuple[bytes, bytes]], dict[str, Any]]] = []
        self.letters: list[Letter] = []
        self.streams = 0
        self.asked = 33000
        self.ports: dict[str, int] = {}
        rng = random.Random(5)
        for node in self.topology.remailers:
            for i in range(self.mails):
                own, last = node == self.alpha, i == self.mails - 1
                delay = self.delays[i] if own and self.delays else rng.expovariate(1.0)
                letter = self._letter(node)
                came = self._comes(letter, node, 0.3 * i, special=own)
                self._goes(letter, node, came + 0.02 + delay, special=own, last=own and last)
            self._link(node, special=node == self.alpha)
            if self.twins:
                question = b"\0" * 12 + b"\x13unlogged-twin-%b-1\0" % node.name.encode()
                self.put(
                    3.0, node.host, self.topology.recipient.host, "udp", mac=BRIDGE,
                    source_port=40000, target_port=53, payload=question,
                    query=(f"unlogged-twin-{node.name}-1.test", 1),
                )  # fmt: skip
            self._probes(node)
        alpha = self.alpha.host
        if self.empty is not None:
            hangs_up = {"hangs_up": self.patience}
            self._talk(alpha, self.topology.recipient.host, 4.0, [(b"", self.empty)], **hangs_up)
        if self.loose:
            self.put(4.0, alpha, self.topology.dns, **{"protocol": "udp"} | self.loose)
        if self.last:
            self.put(self.last, self.topology.sender.host, self.topology.dns, "udp")

    def put(self, time: float, source: str, target: str, protocol: str, **more: Any) -> None:
        given = {"mac": mac(source), "target_mac": mac(target), "chosen": OF_IP, **more}
        self.events.append(
            (time, {"source": source, "target": target, "protocol": protocol, **given})
        )

    def wire(self) -> Wire:
        for at, client, server, said, more in sorted(self.talks, key=lambda talk: talk[0]):
            self._connect(at, client, server, said, **more)
        ordered = sorted(self.events, key=lambda event: event[0])
        return wire([Packet(i, t, **more) for i, (t, more) in enumerate(ordered, 1)])

    # -- what passes --------------------------------------------------------------------------

    def _letter(self, node: Node) -> Letter:
        number = len(self.letters)
        letter = Letter(
            number, "forward", (node.name,), "a@sender.test", f"b+m@n{number:04d}.recipient.test",
            "s", f"<m{number}@sender.test>", b"text\r\n",
        )  # fmt: skip
        self.letters.append(letter)
        return letter

    def _comes(self, letter: Letter, node: Node, at: float, *, special: bool) -> float:
        """A mail into a node: when its last byte passes."""
        taken = self.taken if special and letter.number + 1 == self.mails else b"250 2.0.0 OK\r\n"
        greeting = (self.greeting if special else "220 {me} ESMTP\r\n").format(
            me=node.domain, number=letter.number
        )
        ehlo = f"250-{node.domain}\r\n250-STARTTLS\r\n250-8BITMIME\r\n250 SIZE 4194304\r\n"
        mail = b"From: a\r\nMessage-ID: %b\r\n\r\ntext\r\n.\r\n" % letter.message_id.encode()
        said = [
            (b"", greeting.encode()), (b"EHLO mail.sender.test\r\n", ehlo.encode()),
            (b"MAIL FROM:<a@sender.test>\r\n", b"250 2.1.0 OK\r\n"),
            (b"RCPT TO:<remailer@x>\r\n", b"250 2.1.5 OK\r\n"),
            (b"DATA\r\n", b"354 End data with <CR><LF>.<CR><LF>\r\n"), (mail, taken),
            (b"QUIT\r\n", b"221 Bye\r\n"),
        ]  # fmt: skip
        after = self.reply_after if special else 0.0
        more: dict[str, Any] = {}
        if special and self.cut_off and letter.number + 1 == self.mails:
            said, more = said[:-1], {"hangs_up": 0.5, "by_server": True}
        return self._talk(self.topology.sender.host, node.host, at, said, after=after, **more)

    def _goes(self, letter: Letter, node: Node, at: float, *, special: bool, last: bool) -> None:
        """A mail out of a node."""
        name = self.name.format(domain=letter.domain) if last else letter.domain
        host = "mail.recipient.test"
        kinds = self.kinds if last else (15, 1, 28)
        step = MS + (self.asks_after if special else 0.0)
        for i, kind in enumerate(kinds):
            number = self.number if last and kind == 15 else NUMBER
            heard = not (self.lost and kind in kinds[i + 1 :])
            self._asks(node, at + i * step, name if kind == 15 else host, kind, number, heard=heard)
        if last and self.early:
            self._asks(node, at - self.early, letter.domain, 15)
        mail = self.mail if special else Edge.mail
        size = len(re.sub(rb"(?m)^\.", b"", mail)) + (self.size if special else 0)
        queued = self.queue.format(number=letter.number).encode()
        said = [
            (b"", b"220 mail.recipient.test ESMTP Postfix (Debian)\r\n"),
            (b"EHLO %b\r\n" % node.domain.encode(), b"250-mail.recipient.test\r\n250 SIZE 2\r\n"),
            (b"MAIL FROM:<> SIZE=%d\r\n" % size, b"250 2.1.0 Ok\r\n"),
            (b"RCPT TO:<%b>\r\n" % letter.recipient.encode(), b"250 2.1.5 Ok\r\n"),
            (b"DATA\r\n", b"354 End data with <CR><LF>.<CR><LF>\r\n"),
            (mail + b".\r\n", queued), *([(self.after, b"250 2.0.0 Ok\r\n")] if self.after else []),
            *([(b"QUIT\r\n", b"221 2.0.0 Bye\r\n")] if self.quits or not last else []),
        ]  # fmt: skip
        self._talk(
            node.host, self.topology.recipient.host,
            at + (1.5 if special and self.together else 3 * step), said,
            mail_after=self.mail_after if special else 0.0,
            hangs_up=(self.ends_after if special else MS) if said[-1][0] == b"QUIT\r\n" else 0.0,
            resets=special and self.resets, of_ip=self.of_ip if last else OF_IP,
            port=self._bound(letter.number) if special and self.bound else 0,
        )  # fmt: skip

    def _bound(self, number: int) -> int:
        return 33001 + 2 * random.Random(number).randrange(13000)

    def _asks(
        self,
        node: Node,
        at: float,
        name: str,
        kind: int,
        number: int = NUMBER,
        *,
        heard: bool = True,
    ) -> None:
        asked = dns.message.make_query(name, kind, use_edns=0, payload=1232, id=number)
        behind = self.behind if node == self.alpha else b""
        self.put(
            at, node.host, self.topology.dns, "udp", source_port=self.asked, target_port=53,
            query=(name, kind), payload=asked.to_wire() + behind,
        )  # fmt: skip
        back = {"source_port": 53, "target_port": self.asked}
        if heard:
            self.put(at, self.topology.dns, node.host, "udp", **back)
        self.asked += 1

    def _talk(
        self,
        client: str,
        server: str,
        at: float,
        said: list[tuple[bytes, bytes]],
        *,
        after: float = 0.0,
        **more: Any,
    ) -> float:
        """A connection on port 25; when the mail in it ends."""
        self.talks.append((at, client, server, said, {"after": after, **more}))
        mail = next((i for i, (c, _) in enumerate(said) if c.endswith(b"\r\n.\r\n")), 0)
        return at + mail * (2 * MS + after) + MS

    def _connect(
        self,
        at: float,
        client: str,
        server: str,
        said: list[tuple[bytes, bytes]],
        *,
        of_ip: tuple[str, ...] = OF_IP,
        of_syn: tuple[str, ...] = OF_SYN,
        port: int = 0,
        after: float = 0.0,
        mail_after: float = 0.0,
        hangs_up: float = 0.0,
        resets: bool = False,
        by_server: bool = False,
        pushed: int = PSH,
    ) -> None:
        key = f"{client} {server}"
        self.ports[key] = self.ports.get(key, 40000) + 2
        self.streams += 1
        out = {
            "source_port": port or self.ports[key],
            "target_port": 25,
            "stream": self.streams,
        }
        back = {"source_port": 25, "target_port": out["source_port"], "stream": self.streams}
        self.put(at, client, server, "tcp", flags=SYN, sequence=99, chosen=of_ip + of_syn, **out)
        answer = OF_IP + changed(OF_SYN, 0, "0x0000")
        self.put(
            at + MS / 4, server, client, "tcp", flags=SYN | ACK, sequence=499, chosen=answer, **back
        )
        sent, received = 100, 500
        for command, reply in said:
            lingers = command == b"QUIT\r\n" and client != self.topology.sender.host
            at += LINGER_SECONDS if lingers else MS
            at += mail_after if command.endswith(b"\r\n.\r\n") else 0.0
            cut = 7 if self.pieces and client == self.alpha.host and b"\r\n.\r" in command else 0
            for part in filter(None, (command[:cut], command[cut:])):
                said_by = {"flags": ACK | pushed, "payload": part, "sequence": sent}
                self.put(at, client, server, "tcp", **said_by, **out)
                sent += len(part)
            at += MS + after
            said_by = {"flags": ACK | PSH, "payload": reply, "sequence": received}
            self.put(at, server, client, "tcp", **said_by, **back)
            received += len(reply)
        if resets:
            self.put(at + MS, server, client, "tcp", flags=RST, sequence=received, **back)
        if hangs_up > 0:
            ends = (server, client) if by_server else (client, server)
            which = back if by_server else out
            self.put(at + hangs_up, *ends, "tcp", flags=FIN | ACK, sequence=sent, **which)

    def _link(self, node: Node, *, special: bool) -> None:
        """Handshakes with a peer: of TLS only the hellos are looked at."""
        peer = self.bravo if node == self.alpha else self.alpha
        for i in range(3):
            tls = self.tls if special and i == 2 else ("0x0301",)
            for source, target, kind, chosen in (
                (node, peer, CLIENT_HELLO, tls), (peer, node, SERVER_HELLO, ("0x0303",)),
            ):  # fmt: skip
                self.put(
                    5.0 + i, source.host, target.host, "tcp", stream=900 + i, flags=ACK,
                    source_port=2525, target_port=2525,
                    hello=hello(kind, "00", chosen=chosen),
                )  # fmt: skip

    def _probes(self, node: Node) -> None:
        """The prober's connections: usual ones, and with one field changed each."""
        prober, at = self.topology.prober, 6.0
        odd = [
            (changed(OF_IP, 0, "63"), OF_SYN, 0), (changed(OF_IP, 1, "0x20"), OF_SYN, 0),
            (OF_IP, changed(OF_SYN, 2, "7300"), 0), (OF_IP, changed(OF_SYN, 4, "1200"), 0),
            (OF_IP, OF_SYN, 45001),
        ]  # fmt: skip
        usual = [(OF_IP, OF_SYN, 0)] * 6
        for of_ip, of_syn, port in [*usual, *(odd if self.odd else [])]:
            said = [(b"", f"220 {node.domain} ESMTP\r\n".encode())]
            if node == self.alpha:
                said = [(b"", self.greeting.format(me=node.domain, number=0).encode())]
            self._talk(prober, node.host, at, said, of_ip=of_ip, of_syn=of_syn, port=port)
            at += 0.1
        if self.odd:
            self._talk(
                prober, node.host, at,
                [*said, (b"NOOP\r\n", b"250 OK\r\n"), (b"NOOP\r\n", b"250 OK\r\n")], pushed=0,
            )  # fmt: skip
            at += 0.1
        for chosen in (("0x0301",), ("0x0301",), ("0x0303",) if self.odd else ("0x0301",)):
            self.put(
                at, prober, node.host, "tcp", stream=990, flags=ACK, source_port=41000,
                target_port=2525, hello=hello(CLIENT_HELLO, "00", chosen=chosen),
            )  # fmt: skip
