"""Bad input gets an SMTP error or is dropped as documented: no log, no crash, others are served."""

from __future__ import annotations

import asyncio
import random
import socket
import time
import zlib
from collections.abc import Iterator

import pytest
from pysequoia import Cert, encrypt

from remailer.gate import MAX_OF_ONE
from remailer.message import MAX_LAYERS
from testbed.mailbox import Mailboxes, send
from testbed.topology import Node
from testbed.traffic import KB, Plan
from testbed.web import Web
from testbed.wire.canary import Canaries

pytestmark = pytest.mark.web

MB = 1_000_000


class Dialogue:
    """SMTP by hand, on one connection."""

    def __init__(self, node: Node) -> None:
        self.socket = socket.create_connection((node.host, 25), timeout=30)
        self.file = self.socket.makefile("rb")
        self.reply()

    def reply(self) -> int:
        """The code of the next reply; 0 when the connection is closed."""
        while line := self.file.readline():
            if line[3:4] != b"-":
                return int(line[:3])
        return 0

    def say(self, line: bytes) -> int:
        self.socket.sendall(line + b"\r\n")
        return self.reply()

    def mail(self, node: Node, content: bytes) -> int:
        """A whole mail; the last code."""
        for line in (
            b"EHLO test",
            b"MAIL FROM:<x@y.test>",
            b"RCPT TO:<%b>" % node.address.encode(),
        ):
            code = self.say(line)
            if code >= 400:
                return code
        code = self.say(b"DATA")
        if code >= 400:
            return code
        try:
            self.socket.sendall(content + b"\r\n.\r\n")
        except (BrokenPipeError, ConnectionResetError):
            return self.reply()
        return self.reply()

    def close(self) -> None:
        self.socket.close()


def mail_to(node: Node, body: bytes) -> int:
    dialogue = Dialogue(node)
    try:
        return dialogue.mail(node, b"Subject: x\r\n\r\n" + body)
    finally:
        dialogue.close()


@pytest.fixture
def node(web: Web) -> Iterator[Node]:
    """A node that is as silent and as alive after the test as before, and still forwards mail."""
    node = web.topology.remailers[1]
    container = web.container(node.name)
    before = (container.logs(), container.attrs["State"]["StartedAt"])
    yield node
    container.reload()
    assert container.status == "running"
    assert (container.logs(), container.attrs["State"]["StartedAt"]) == before
    assert_serves(web, node)


def assert_serves(web: Web, node: Node) -> None:
    rng = random.Random(time.time_ns())
    plan = Plan(web.topology, Canaries.new(rng), rng)
    letter = plan.add("forward", (node.name,), 2 * KB)
    with Mailboxes(web) as mailboxes:
        asyncio.run(send(web, [letter], lambda sent: None))
        assert mailboxes.collect([letter], within=30) == []
    assert letter.whole


def sealed(web: Web, node: Node, plain: bytes) -> bytes:
    """A pasted, encrypted message to a node."""
    peer = web.directory.named(node.name)
    assert peer is not None
    armour = encrypt(plain, recipients=[Cert.from_bytes(peer.openpgp.encode())])
    return b"::\r\nEncrypted: PGP\r\n\r\n" + bytes(armour).replace(b"\n", b"\r\n")


def test_a_broken_pgp_block_is_dropped(web: Web, node: Node) -> None:
    whole = sealed(web, node, b"Anon-To: bob@recipient.test\n\nhello")
    middle = len(whole) // 2
    assert mail_to(node, whole[:middle] + b"!!!!" + whole[middle + 4 :]) == 250
    assert mail_to(node, whole[:middle]) == 250
    assert mail_to(node, b"::\r\nEncrypted: PGP\r\n\r\nno armour at all") == 250


def test_20_mb_are_refused(node: Node) -> None:
    assert mail_to(node, (b"x" * 70 + b"\r\n") * (20 * MB // 72)) == 552


def test_declared_20_mb_are_refused_at_once(node: Node) -> None:
    dialogue = Dialogue(node)
    assert dialogue.say(b"EHLO test") == 250
    assert dialogue.say(b"MAIL FROM:<> SIZE=20000000") == 552
    dialogue.close()


@pytest.mark.parametrize(
    "content",
    [b"a lone\nLF\r\n", b"a lone\rCR\r\n", b"a NUL\0\r\n", b"smuggled\n.\r\nMAIL FROM:<>\r\n"],
    ids=["LF", "CR", "NUL", "smuggling"],
)
def test_what_is_not_mail_is_refused(node: Node, content: bytes) -> None:
    assert mail_to(node, content) == 554


def test_a_recipient_list_beyond_the_limit_is_dropped(web: Web, node: Node) -> None:
    many = b"".join(b"Anon-To: bob+list%d@recipient.test\r\n" % i for i in range(50))
    with Mailboxes(web) as mailboxes:
        assert mail_to(node, b"::\r\n" + many + b"\r\nspam") == 250
        assert_serves(web, node)
        assert not any(b"bob+list" in mail for mail in mailboxes.new())


def test_a_loop_ends(node: Node) -> None:
    own = b"::\r\nAnon-To: %b\r\n\r\n" % node.address.encode()
    assert mail_to(node, own * 50 + b"round and round") == 250


def test_a_zip_bomb_takes_nobody_with_it(web: Web, node: Node) -> None:
    assert mail_to(node, sealed(web, node, b"")) == 250
    assert mail_to(node, bomb(web, node)) == 250


def bomb(web: Web, node: Node) -> bytes:
    """Half a gigabyte of zeros in a compressed packet, inside a PGP layer."""
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    literal = b"\xcb\xff" + (512 * MB).to_bytes(4, "big") + b"b\0\0\0\0\0"
    packed = squeezer.compress(literal)
    for _ in range(512):
        packed += squeezer.compress(bytes(MB))
    packed += squeezer.flush()
    packet = b"\xc8\xff" + (len(packed) + 1).to_bytes(4, "big") + b"\x01" + packed
    return sealed(web, node, packet)


def test_more_layers_than_the_limit_are_dropped(web: Web, node: Node) -> None:
    """Armour makes each layer a third larger: a hundred don't fit into a mail, 22 do."""
    text = b"Anon-To: bob@recipient.test\r\n\r\ndeep"
    for _ in range(MAX_LAYERS + 2):
        text = sealed(web, node, text)
    assert mail_to(node, text) == 250
    assert mail_to(node, b"::\r\nEncrypted: PGP\r\n\r\n" * 100 + text) == 250


def test_slow_clients_hold_up_nobody(node: Node) -> None:
    slow = [Dialogue(node) for _ in range(MAX_OF_ONE - 1)]
    for dialogue in slow:
        dialogue.socket.sendall(b"EHL")
    began = time.monotonic()
    assert mail_to(node, b"::\r\nNull: yes\r\n\r\n") == 250
    assert time.monotonic() - began < 5
    for dialogue in slow:
        dialogue.close()
