"""IPv6 beside IPv4: in on port 25, over a link, and out to a host that has AAAA only."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from node_web import Dns, directory, free_port, pair, peer, write_pair
from test_listener import DOMAIN, ME

from remailer.exit import Exit
from remailer.gate import Gate, origin
from remailer.link.smtp import Outcome, listen
from remailer.link.tls import TlsLink
from remailer.listener import Desk, Door
from remailer.resolver import Resolver

MAIL = b"Subject: x\r\n\r\nhello\r\n"


class Served:
    """A listener on all interfaces, as a node has it."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []
        self.desk, self.gate = Desk(DOMAIN, self.accept), Gate(5)

    async def accept(self, mail: bytes) -> None:
        self.mails.append(mail)

    def door(self, admit: object = None) -> Door:
        return Door(self.desk, self.gate, lambda _: True)


async def test_port_25_answers_on_both_and_the_exit_finds_both() -> None:
    served, port = Served(), free_port()
    table = {("six.test", "AAAA"): ("::1",), ("four.test", "A"): ("127.0.0.1",)}
    table |= {("both.test", "A"): ("127.0.0.2",), ("both.test", "AAAA"): ("::1",)}
    dns = await Dns(
        {**table, ("both.test", "A"): ("127.0.0.2",), ("both.test", "AAAA"): ("::1",)}
    ).start()
    exit_ = Exit("me.test", Resolver("127.0.0.1", dns.port), random.Random(1), port=port)
    async with await listen(served.door, None, port):
        for domain in ("six.test", "four.test"):
            conversation = await exit_.connect(domain)
            assert await conversation.send(ME, MAIL) is Outcome.DELIVERED
            await conversation.end()
    # Nobody is at the IPv4 address: then the other is asked.
    async with await listen(served.door, "::1", port):
        await (await exit_.connect("both.test")).end()
    dns.stop()
    assert served.mails == [MAIL, MAIL]


async def test_a_link_to_a_peer_that_has_both(tmp_path: Path) -> None:
    served, port = Served(), free_port()
    alpha, bravo = pair("alpha"), pair("bravo")
    entry = peer("bravo", port, bravo[1]).model_copy(update={"hosts": ("127.0.0.1", "::1")})
    known = directory(peer("alpha", 1, alpha[1]), entry)
    link = TlsLink("bravo.remailer.test", *write_pair(tmp_path, "bravo", bravo), known)
    ours = TlsLink("alpha.remailer.test", *write_pair(tmp_path, "alpha", alpha), known)
    async with await link.open(served.door, "::1", port):
        conversation = await ours.connect(entry)
        assert await conversation.send(ME, MAIL) is Outcome.DELIVERED
        await conversation.end()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::3", "2001:db8:1:2:ffff::4", True),
        ("2001:db8:1:2::3", "2001:db8:1:3::3", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
    ],
)
def test_an_ipv6_customer_is_a_64(one: str, other: str, same: bool) -> None:
    class At(asyncio.BaseTransport):
        def __init__(self, host: str) -> None:
            super().__init__({"peername": (host, 1234)})

    assert (origin(At(one)) == origin(At(other))) is same
