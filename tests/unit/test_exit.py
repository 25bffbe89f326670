"""The exit: whom it asks, whom it greets, and what it makes of the answers."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
from node_web import Dns, free_port

from remailer.errors import SetupError
from remailer.exit import GREETING_SECONDS, MOST_ADDRESSES, Exit, Undeliverable
from remailer.link.smtp import Conversation, Outcome, Unreachable
from remailer.resolver import Resolver

ME = "alpha.remailer.test"
HERE = ("127.0.0.1",)


class Host:
    """A mail host that takes everything and notes what it was told."""

    def __init__(self) -> None:
        self.said: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 host\r\n")
        while line := await reader.readline():
            self.said.append(line)
            if line.startswith(b"EHLO"):
                writer.write(b"250-host\r\n250-STARTTLS\r\n250-SIZE\r\n250 8BITMIME\r\n")
            elif line.startswith(b"DATA"):
                writer.write(b"354 go\r\n")
                self.said.append(await reader.readuntil(b"\r\n.\r\n"))
                writer.write(b"250 ok\r\n")
            else:
                writer.write(b"250 ok\r\n")
        writer.close()


@asynccontextmanager
async def world(
    table: Mapping[tuple[str, str], tuple[str, ...]],
) -> AsyncIterator[tuple[Exit, Dns, Host]]:
    server = await Dns(table).start()
    host, port = Host(), free_port()
    exit_ = Exit(ME, Resolver("127.0.0.1", server.port), random.Random(1), port=port)
    async with await asyncio.start_server(host.serve, "127.0.0.1", port):
        yield exit_, server, host
    server.stop()


async def test_mail_goes_to_the_first_host_that_answers() -> None:
    table = {
        ("x.test", "MX"): ("20 second.x.test.", "10 first.x.test.", "30 third.x.test."),
        ("first.x.test", "A"): ("127.0.0.2",),
        ("second.x.test", "A"): HERE,
    }
    async with world(table) as (exit_, server, host):
        conversation = await exit_.connect("x.test")
        assert await conversation.send("bob@x.test", b"\r\n.x\r\n") is Outcome.DELIVERED
        assert await conversation.send("bob@x.test", b"\r\n\xe9\r\n") is Outcome.DELIVERED
        await conversation.end()
    assert server.asked == [
        ("x.test", "MX"),
        ("first.x.test", "A"),
        ("first.x.test", "AAAA"),
        ("second.x.test", "A"),
        ("second.x.test", "AAAA"),
    ]
    assert host.said == [
        b"EHLO alpha.remailer.test\r\n",
        b"STARTTLS\r\n",  # gets 250, which makes no sense: so in clear, on a new connection
        b"EHLO alpha.remailer.test\r\n",
        b"MAIL FROM:<> SIZE=6\r\n",
        b"RCPT TO:<bob@x.test>\r\n",
        b"DATA\r\n",
        b"\r\n..x\r\n.\r\n",
        b"MAIL FROM:<> SIZE=5 BODY=8BITMIME\r\n",
        b"RCPT TO:<bob@x.test>\r\n",
        b"DATA\r\n",
        b"\r\n\xe9\r\n.\r\n",
        b"QUIT\r\n",
    ]


async def test_equal_preferences_are_tried_in_random_order() -> None:
    async with world({("x.test", "MX"): ("10 a.test.", "10 b.test.", "5 c.test.")}) as (exit_, *_):
        orders = {tuple(str(name) for name in await exit_.exchangers("x.test")) for _ in range(30)}
    assert orders == {("c.test.", "a.test.", "b.test."), ("c.test.", "b.test.", "a.test.")}


async def test_implicit_mx() -> None:
    async with world({("x.test", "A"): HERE}) as (exit_, server, _):
        await (await exit_.connect("x.test")).end()
    assert server.asked[:2] == [("x.test", "MX"), ("x.test", "A")]


@pytest.mark.parametrize(
    ("domain", "table", "error"),
    [
        ("null.test", {("null.test", "MX"): ("0 .",), ("null.test", "A"): HERE}, Undeliverable),
        ("nowhere.test", {}, Undeliverable),
        ("bare.test", {("bare.test", "TXT"): ("x",)}, Undeliverable),
        ("x.test", {("x.test", "MX"): ("10 gone.test.",)}, Undeliverable),
        ("x" * 64 + ".test", {}, Undeliverable),
        ("\xe9.test", {}, Undeliverable),
        ("a..b", {}, Undeliverable),
        ("x.test", {("x.test", "MX"): Dns.FAIL}, Unreachable),
        ("x.test", {("x.test", "A"): ("127.0.0.2",)}, Unreachable),
        ("x.test", {("x.test", "MX"): ("1 m.test.",), ("m.test", "A"): Dns.FAIL}, Unreachable),
    ],
)
async def test_for_ever_or_for_now(
    domain: str, table: dict[tuple[str, str], tuple[str, ...]], error: type[Exception]
) -> None:
    async with world(table) as (exit_, *_):
        with pytest.raises(error):
            await exit_.connect(domain)


async def test_what_is_known_of_a_host_is_used() -> None:
    table = {("x.test", "A"): HERE, ("x.test", "AAAA"): Dns.FAIL}
    async with world(table) as (exit_, *_):
        await (await exit_.connect("x.test")).end()


async def test_no_domain_has_endlessly_many_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []

    async def begin(host: str, *_: object, patience: float) -> Conversation:
        begun.append(host)
        raise Unreachable(host)

    monkeypatch.setattr(Conversation, "begin", begin)
    many = tuple(f"127.0.0.{n}" for n in range(2, 12))
    async with world({("x.test", "A"): many}) as (exit_, *_):
        with pytest.raises(Unreachable):
            await exit_.connect("x.test")
        assert len(begun) == MOST_ADDRESSES
        assert set(begun) <= set(many)


async def test_a_host_that_keeps_us_waiting_is_waited_for_if_the_rest_cant_be_reached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("remailer.exit.CONNECT_SECONDS", 0.1)
    asked: list[tuple[str, float]] = []

    async def greet(_: Exit, address: str, patience: float) -> str:
        asked.append((address, patience))
        if ":" in address:
            raise Unreachable("no route")
        if patience < GREETING_SECONDS:
            await asyncio.sleep(patience)
            raise Unreachable("silent")
        return "greeted"

    monkeypatch.setattr(Exit, "_greet", greet)
    table = {("x.test", "A"): HERE, ("x.test", "AAAA"): ("2001:db8::1",)}
    async with world(table) as (exit_, *_):
        assert await exit_.connect("x.test") == "greeted"  # type: ignore[comparison-overlap]
    assert asked == [
        ("127.0.0.1", 0.1), ("2001:db8::1", GREETING_SECONDS), ("127.0.0.1", GREETING_SECONDS),
    ]  # fmt: skip


async def test_a_silent_resolver_is_for_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remailer.resolver.LOOKUP_SECONDS", 0.3)
    async with world({("x.test", "MX"): Dns.SILENT}) as (exit_, *_):
        with pytest.raises(Unreachable):
            await exit_.connect("x.test")


async def test_a_host_that_never_greets_is_for_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remailer.exit.GREETING_SECONDS", 0.3)
    server = await Dns({("x.test", "A"): HERE}).start()
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]
        exit_ = Exit(ME, Resolver("127.0.0.1", server.port), random.Random(1), port=port)
        with pytest.raises(Unreachable):
            await exit_.connect("x.test")
    server.stop()


@pytest.mark.parametrize("resolver", ["", "dns.test", "10.0.0"])
def test_resolver_is_an_address(resolver: str) -> None:
    with pytest.raises(SetupError, match="--resolver"):
        Resolver(resolver)
