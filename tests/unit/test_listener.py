"""The listener, over real sockets: what it takes, what it refuses, and that nobody blocks it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiosmtplib
import pytest

from remailer import gate, listener
from remailer.blocked import NOBODY, Blocked
from remailer.errors import SpoolFull
from remailer.gate import MAX_OF_ONE, Gate, Rate
from remailer.link.smtp import listen
from remailer.listener import Desk, Door
from remailer.message import MAX_MAIL

DOMAIN = "alpha.remailer.test"
ME = f"remailer@{DOMAIN}"


class Served:
    """A listener on a free port of 127.0.0.1, and the mails that it took."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []
        self.full = False
        self.port = 0

    async def take(self, mail: bytes) -> None:
        await self.accept(mail)

    async def accept(self, mail: bytes) -> None:
        if self.full:
            raise SpoolFull("full")
        self.mails.append(mail)

    async def raw(self) -> Talk:
        talk = Talk(*await asyncio.open_connection("127.0.0.1", self.port))
        assert await talk.reply() == f"220 {DOMAIN} ESMTP"
        return talk

    async def at_data(self) -> Talk:
        talk = await self.raw()
        for line in ("HELO x", "MAIL FROM:<a@b.test>", f"RCPT TO:<{ME}>"):
            assert (await talk.say(line)).startswith("250")
        assert (await talk.say("DATA")).startswith("354")
        return talk


class Talk:
    """A raw SMTP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def reply(self) -> str:
        async with asyncio.timeout(20):
            while True:
                line = (await self.reader.readline()).decode().rstrip("\r\n")
                if line[3:4] != "-":
                    return line

    async def say(self, line: str) -> str:
        return await self.send(line.encode("latin-1") + b"\r\n")

    async def send(self, data: bytes) -> str:
        self.writer.write(data)
        return await self.reply()

    async def silent(self) -> bool:
        try:
            async with asyncio.timeout(0.2):
                return not await self.reader.read(1)
        except TimeoutError:
            return True


@asynccontextmanager
async def serving(
    most: int = 5, rate: int | None = None, blocked: Blocked = NOBODY
) -> AsyncIterator[Served]:
    served = Served()
    doors = Gate(most, rate=Rate(rate) if rate else None)
    desk = Desk(DOMAIN, served.take, blocked)
    server = await listen(lambda: Door(desk, doors, lambda _: True), "127.0.0.1", 0)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()
        doors.close()


async def test_takes_mail_byte_for_byte() -> None:
    mail = b"Subject: x\r\n\r\n.\r\n..dots\r\n.x\r\n\xff8-bit\r\n" + b"y" * 998 + b"\r\n\r\n"
    async with serving() as served:
        client = aiosmtplib.SMTP(hostname="127.0.0.1", port=served.port, start_tls=False)
        async with client:
            await client.ehlo(hostname="me")
            assert client.esmtp_extensions == {"8bitmime": "", "size": str(MAX_MAIL)}
            for _ in range(2):
                await client.sendmail("a@b.test", [ME, f"Abuse@{DOMAIN.upper()}"], mail)
    assert served.mails == [mail, mail]


async def test_pipelined_commands_after_the_data() -> None:
    async with serving() as served:
        talk = await served.at_data()
        assert (await talk.send(b".\r\nNOOP\r\n")).startswith("250 2.0.0")
        assert (await talk.reply()).startswith("250")
    assert served.mails == [b""]


@pytest.mark.parametrize(
    "end",
    [
        b"\n.\n",
        b"\n.\r\n",
        b"\r\n.\n",
        b"\r.\r",
        b"\r\n.\r",
        b"\r.\r\n",
        b"\n\r.\r\n",
        b"\r\n\x00.\r\n",
    ],
)
async def test_nothing_else_ends_the_data(end: bytes) -> None:
    smuggled = b"MAIL FROM:<e@f.test>\r\nRCPT TO:<" + ME.encode() + b">\r\nDATA\r\nevil"
    async with serving() as served:
        talk = await served.at_data()
        talk.writer.write(b"text" + end + smuggled)
        assert await talk.silent()
        assert (await talk.send(b"\r\n.\r\n")).startswith("554 5.6.0")
        assert (await talk.say("NOOP")).startswith("250")
    assert served.mails == []


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"a\x00b\r\n", "554"),
        (b"a\nb\r\n", "554"),
        (b"a\rb\r\n", "554"),
        (b"a\r\r\n", "554"),
        (b"x" * 999 + b"\r\n", "554"),
        (b"x" * 500_000 + b"\r\n", "554"),
        (b"x" * 998 + b"\r\n", "250"),
        (b"." + b"." * 998 + b"\r\n", "250"),
        ((b"y" * 62 + b"\r\n") * (MAX_MAIL // 64), "250"),
        ((b"y" * 62 + b"\r\n") * (MAX_MAIL // 64) + b"\r\n", "552"),
        (b"..\r\n" * (MAX_MAIL // 3), "250"),
        ((b"z" * 98 + b"\r\n") * 200_000, "552"),
        (b"z" * 20_000_000 + b"\r\n", "552"),
    ],
    ids=lambda value: f"{len(value)}" if isinstance(value, bytes) else value,
)
async def test_only_clean_mail_is_taken(data: bytes, code: str) -> None:
    async with serving() as served:
        talk = await served.at_data()
        assert (await talk.send(data + b".\r\n"))[:3] == code
        assert (await talk.say("NOOP")).startswith("250")
    assert len(served.mails) == (code == "250")


async def test_data_byte_by_byte() -> None:
    async with serving() as served:
        talk = await served.at_data()
        for byte in b"a\r\n..\r\n.b\r\n.\r\n":
            talk.writer.write(bytes([byte]))
            await talk.writer.drain()
            await asyncio.sleep(0)
        assert (await talk.reply()).startswith("250")
    assert served.mails == [b"a\r\n.\r\nb\r\n"]


@pytest.mark.parametrize(
    ("recipient", "reply"),
    [
        (f"<{ME}>", "250"),
        (f"<@relay.test:{ME}>", "250"),
        ("<postmaster>", "250"),
        (f"<PostMaster@{DOMAIN}>", "250"),
        (f"<bob@{DOMAIN}>", "550 5.1.1"),
        ("<bob@recipient.test>", "550 5.7.1"),
        ("<remailer>", "550 5.7.1"),
        (f"<remailer%x.test@sub.{DOMAIN}>", "550 5.7.1"),
        (f'<"x@{DOMAIN}"@y.test>', "550 5.7.1"),
        ("<>", "550"),
        (f"<{ME}> NOTIFY=NEVER", "555"),
        (ME, "553"),
        (f"<{ME}", "553"),
        ("", "553"),
    ],
)
async def test_recipients(recipient: str, reply: str) -> None:
    async with serving() as served:
        talk = await served.raw()
        await talk.say("EHLO x")
        await talk.say("MAIL FROM:<>")
        assert (await talk.say(f"RCPT TO:{recipient}")).startswith(reply)


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("MAIL FROM:<a@b.test>", "503"),
        ("RCPT TO:<a@b.test>", "503"),
        ("DATA", "503"),
        ("VRFY root", "252"),
        ("EXPN staff", "500"),
        ("HELP", "214"),
        ("AUTH PLAIN AAAA", "500"),
        ("STARTTLS", "502"),
        ("EHLO", "501"),
        ("\xe9", "500"),
        ("NOOP " + "x" * 2000, "500"),
    ],
)
async def test_commands(line: str, reply: str) -> None:
    async with serving() as served:
        talk = await served.raw()
        said = await talk.say(line)
        assert said.startswith(reply)
        assert "root" not in said
        assert (await talk.say("NOOP")).startswith("250")


async def test_size_is_refused_before_the_data() -> None:
    async with serving() as served:
        talk = await served.raw()
        await talk.say("EHLO x")
        assert (await talk.say(f"MAIL FROM:<> SIZE={MAX_MAIL + 1}")).startswith("552")
        assert (await talk.say("MAIL FROM:<> SMTPUTF8")).startswith("501")
        assert (await talk.say("MAIL FROM:<> FOO=1")).startswith("555")
        assert (await talk.say(f"MAIL FROM:<> SIZE={MAX_MAIL} BODY=8BITMIME")).startswith("250")


async def test_full_spool_is_temporary() -> None:
    async with serving() as served:
        served.full = True
        talk = await served.at_data()
        assert (await talk.send(b"x\r\n.\r\n")).startswith("452 4.3.1")
        served.full = False
        for line in ("MAIL FROM:<>", f"RCPT TO:<{ME}>"):
            assert (await talk.say(line)).startswith("250")
        await talk.say("DATA")
        assert (await talk.send(b"x\r\n.\r\n")).startswith("250")


async def test_one_connection_too_many() -> None:
    async with serving(most=2) as served:
        talks = [await served.raw() for _ in range(2)]
        late = Talk(*await asyncio.open_connection("127.0.0.1", served.port))
        assert (await late.reply()).startswith("421")
        assert await late.reader.read() == b""
        assert (await talks[0].say("QUIT")).startswith("221")
        assert await talks[0].reader.read() == b""
        assert await served.raw()


async def test_one_address_leaves_room_for_others() -> None:
    async with serving(most=80) as served:
        talks = [await served.raw() for _ in range(MAX_OF_ONE)]
        late = Talk(*await asyncio.open_connection("127.0.0.1", served.port))
        assert (await late.reply()).startswith("421")
        other = await asyncio.open_connection("127.0.0.1", served.port, local_addr=("127.0.0.2", 0))
        assert (await Talk(*other).reply()).startswith("220")
        await talks[0].say("QUIT")
        assert await talks[0].reader.read() == b""
        assert await served.raw()


async def test_a_full_gate_makes_room_at_the_cost_of_whoever_has_most() -> None:
    async with serving(most=4) as served:
        slow = [await served.raw() for _ in range(3)]

        async def other(last: int) -> Talk:
            at = (f"127.0.0.{last}", 0)
            talk = Talk(*await asyncio.open_connection("127.0.0.1", served.port, local_addr=at))
            assert (await talk.reply()).startswith("220")
            return talk

        first = await other(2)
        second = await other(3)  # the fifth: the oldest of the three goes
        with contextlib.suppress(ConnectionResetError):
            assert await slow[0].reader.read() == b""
        third = await other(4)
        late = Talk(*await asyncio.open_connection("127.0.0.1", served.port))
        assert (await late.reply()).startswith("421"), "all have one now: nobody is hung up on"
        for talk in (slow[2], first, second, third):
            assert (await talk.say("NOOP")).startswith("250")


async def test_too_much_of_one_address_keeps_no_other_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "RATE_SECONDS", 0.5)
    async with serving(most=80, rate=4) as served:
        flood = await served.at_data()  # the connection costs one
        assert (await flood.send(b"x" * 70 + b"\r\n.\r\n")).startswith("250")
        for line in ("MAIL FROM:<>", f"RCPT TO:<{ME}>", "DATA"):
            await flood.say(line)
        assert (await flood.send((b"x" * 98 + b"\r\n") * 700 + b".\r\n")).startswith("250")
        assert (await flood.say("MAIL FROM:<>")).startswith("450 4.7.1")
        late = Talk(*await asyncio.open_connection("127.0.0.1", served.port))
        assert (await late.reply()).startswith("421 4.7.1")
        pair = await asyncio.open_connection("127.0.0.1", served.port, local_addr=("127.0.0.2", 0))
        other = Talk(*pair)
        await other.reply()
        await other.say("HELO x")
        assert (await other.say("MAIL FROM:<>")).startswith("250")
        await asyncio.sleep(0.6)
        assert (await flood.say("MAIL FROM:<>")).startswith("250")
    assert len(served.mails) == 2


async def test_who_hangs_up_has_used_his_units_all_the_same() -> None:
    async with serving(rate=9) as served:
        for end in (b"\r\n.\r\n", b""):
            talk = await served.at_data()
            for _ in range(300):
                talk.writer.write(b"x" * 998 + b"\r\n")
            talk.writer.write(end)
            await talk.writer.drain()
            talk.writer.close()
        await asyncio.sleep(0.3)
        late = Talk(*await asyncio.open_connection("127.0.0.1", served.port))
        assert (await late.reply()).startswith("421 4.7.1")


async def test_of_a_mail_that_was_broken_off_nothing_stays_in_memory() -> None:
    """Connections end in cycles of references, which Python finds when it likes."""
    async with serving() as served:
        gc.collect()
        gc.disable()
        tracemalloc.start()
        try:
            for _ in range(8):
                talk = await served.at_data()
                talk.writer.write((b"x" * 998 + b"\r\n") * 3000)
                await talk.writer.drain()
                talk.writer.close()
                await asyncio.sleep(0.2)
            assert tracemalloc.get_traced_memory()[0] < 6 << 20
        finally:
            tracemalloc.stop()
            gc.enable()


async def test_of_addresses_only_counts_are_kept_and_not_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gate, "RATE_SECONDS", 0.1)
    monkeypatch.setattr(gate, "MOST_COUNTED", 3)
    rate, addresses = Rate(2), [bytes([192, 0, 2, n]) for n in range(5)]
    for address in addresses:
        rate.use(address, 1)
    assert len(rate._used) == 2  # with the fourth all began anew: nobody pays for others
    assert not any(map(rate.spent, addresses))
    assert not any(address.hex() in repr(vars(rate)) for address in addresses)
    assert not any(repr(address)[2:-1] in repr(vars(rate)) for address in addresses)
    await asyncio.sleep(0.2)
    assert (rate._used, rate._key) == ({}, b"")


@pytest.mark.parametrize(("line", "most"), [("RCPT TO:<x@y.test>", 20), ("NOOP", 197)])
async def test_errors_and_talk_have_an_end(line: str, most: int) -> None:
    async with serving() as served:
        talk = await served.raw()
        await talk.say("EHLO x")
        await talk.say("MAIL FROM:<>")
        for _ in range(most - 1):
            assert not (await talk.say(line)).startswith("421")
        await talk.say(line)
        assert (await talk.reply()).startswith("421 4.7.0")
        assert await talk.reader.read() == b""
        assert await served.raw()


async def test_mails_to_a_hundred_recipients_each() -> None:
    async with serving() as served:
        talk = await served.raw()
        await talk.say("EHLO x")
        for _ in range(3):
            await talk.say("MAIL FROM:<>")
            for _ in range(100):
                assert (await talk.say(f"RCPT TO:<{ME}>")).startswith("250")
            assert (await talk.say(f"RCPT TO:<{ME}>")).startswith("452 4.5.3")
            await talk.say("DATA")
            assert (await talk.send(b"x\r\n.\r\n")).startswith("250")
    assert len(served.mails) == 3


async def test_slow_clients_are_cut_and_hold_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "IDLE_SECONDS", 0.3)
    monkeypatch.setattr(listener, "CONNECTION_SECONDS", 0.9)
    async with serving() as served:
        idle, dripping = await served.raw(), await served.at_data()
        drips = asyncio.create_task(_drip(dripping))
        quick = await served.at_data()
        assert (await quick.send(b"x\r\n.\r\n")).startswith("250")
        assert (await idle.reply()).startswith("421 4.4.2")
        async with asyncio.timeout(10):
            # Data kept it alive for longer than IDLE_SECONDS, but not for ever.
            assert await drips > 8
    assert served.mails == [b"x\r\n"]


async def test_who_waits_for_us_is_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """He would send a mail again that we have."""
    monkeypatch.setattr(listener, "IDLE_SECONDS", 0.3)
    monkeypatch.setattr(listener, "CONNECTION_SECONDS", 0.9)
    async with serving() as served:

        async def slowly(mail: bytes) -> None:
            await asyncio.sleep(2)

        served.accept = slowly  # type: ignore[method-assign]
        talk = await served.at_data()
        assert (await talk.send(b"x\r\n.\r\n")).startswith("250")
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionError):
                await talk.reader.read()  # but afterwards


async def test_what_stands_behind_the_last_error_is_not_obeyed() -> None:
    async with serving() as served:
        talk = await served.raw()
        mail = f"HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<{ME}>\r\nDATA\r\nx\r\n.\r\n"
        talk.writer.write(b"\r\n" * listener.MAX_ERRORS + mail.encode())
        said = b""
        with contextlib.suppress(ConnectionError):
            while more := await talk.reader.read(1000):
                said += more
    assert b"354" not in said
    assert served.mails == []


async def _drip(talk: Talk) -> int:
    """Lines sent, one every 50 ms, until the server hangs up."""
    for number in itertools.count():
        talk.writer.write(b"drip\r\n")
        try:
            await talk.writer.drain()
        except ConnectionError:
            return number
        await asyncio.sleep(0.05)
    raise AssertionError


async def test_nothing_of_the_peer_is_kept() -> None:
    async with serving() as served:
        sessions: list[object] = []
        desk_take = served.accept

        async def spy(mail: bytes) -> None:
            task = asyncio.current_task()
            sessions.append(task)
            await desk_take(mail)

        served.accept = spy  # type: ignore[method-assign]
        talk = await served.at_data()
        await talk.send(b"x\r\n.\r\n")
        doors = [door for door in _doors() if door.transport is not None]
        kept = [vars(door.session) | vars(door.envelope) for door in doors]
    assert kept
    assert "127.0.0.1" not in repr(kept)
    assert "b.test" not in repr(kept)


def _doors() -> list[Door]:
    return [thing for thing in gc.get_objects() if isinstance(thing, Door)]


async def test_mail_from_a_blocked_sender_is_refused() -> None:
    async with serving(blocked=Blocked(sources=frozenset({"flood.test"}))) as served:
        talk = await served.raw()
        await talk.say("EHLO x")
        assert (await talk.say("MAIL FROM:<Eve@Sub.Flood.test>")).startswith("550 5.7.1")
        assert (await talk.say("MAIL FROM:<>")).startswith("250")


@pytest.mark.parametrize(
    ("sender", "subject", "kept"),
    [
        ("", "remailer-key", 0),
        ("", " Remailer-Help ", 0),
        ("", "\r\n remailer-conf", 0),
        ("", "remailer-keys", 1),
        ("", "other", 1),
        ("a@b.test", "remailer-key", 1),
    ],
)
async def test_a_request_from_nobody_is_forgotten(sender: str, subject: str, kept: int) -> None:
    async with serving() as served:
        talk = await served.raw()
        for line in ("EHLO x", f"MAIL FROM:<{sender}>", f"RCPT TO:<{ME}>"):
            assert (await talk.say(line)).startswith("250")
        await talk.say("DATA")
        text = f"From: a@b.test\r\nSubject: {subject}\r\n\r\nSubject: remailer-key\r\n.\r\n"
        assert (await talk.send(text.encode())).startswith("250")
        assert len(served.mails) == kept
