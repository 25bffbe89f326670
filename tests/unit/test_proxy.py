"""A proxy and three nodes as processes on loopback: what a user's mail program hands in arrives
without him, and whoever listens at his line doesn't see when he writes."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from email.message import EmailMessage
from functools import partial
from pathlib import Path

import aiosmtplib
import pytest
import test_cells_node
import test_node
from node_web import free_port
from test_cells_node import made as nodes_made  # noqa: F401  (a fixture)
from test_node import NAMES, Web

from remailer.client import guest
from remailer.directory import Directory
from remailer.link.geometry import RECORD, RECORD_HEADER
from remailer.seal import Leaving
from remailer.spool import Spool

NODE = test_cells_node.NODE.replace("cells=40.0)", "cells=40.0, guests=guests)").replace(
    "place = ", 'guests = Path(folder).parent / "guests.json"\nplace = '
)
CELLS = "--cells=40"
USERS = (b"alice", b"sender.test", b"Evolution", b"Received", b"=_part", b"laptop", b"Reply-To")


def mail(text: str, subject: str = "hi") -> bytes:
    """A mail as a mail program makes it, telling much of its user."""
    made = EmailMessage()
    made["From"] = "Alice <alice@sender.test>"
    made["Reply-To"] = "alice@sender.test"
    made["To"] = "bob@recipient.test"
    made["Subject"] = subject
    made["Date"] = "Tue, 25 Aug 2026 12:34:56 +0200"
    made["Message-ID"] = "<1234@laptop.sender.test>"
    made["Received"] = "from laptop by sender.test; Tue, 25 Aug 2026 12:34:56 +0200"
    made["User-Agent"] = "Evolution 3.46"
    made.set_content(text, cte="quoted-printable")
    made.add_alternative(f"<p>{text}</p>", subtype="html")
    made.set_boundary("=_part_of_evolution")
    return made.as_bytes().replace(b"\n", b"\r\n")


class Relay:
    """The user's line: what goes over it is counted, and it can be cut."""

    def __init__(self, to: int) -> None:
        self._to = to
        self.port = free_port()
        self.counts = {"out": 0, "in": 0}
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> Relay:
        self.server = await asyncio.start_server(self._pass, "127.0.0.1", self.port)
        return self

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, out = await asyncio.open_connection("127.0.0.1", self._to)
        self._writers |= {writer, out}
        await asyncio.gather(self._copy("out", reader, out), self._copy("in", there, writer))

    async def _copy(
        self, way: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readexactly(RECORD_HEADER)
                size = int.from_bytes(head[3:])
                writer.write(head + await reader.readexactly(size))
                self.counts[way] += size == RECORD
                self.counts[f"{way} of another size"] = self.counts.get(
                    f"{way} of another size", 0
                ) + (size != RECORD)
        writer.close()

    def stop(self) -> None:
        self.server.close()
        for writer in self._writers:
            writer.transport.abort()


class Proxied(Web):
    """The nodes, and one user."""

    async def start(self) -> None:
        await super().start()
        alpha = self.directory.named("alpha")
        assert alpha
        self.relay = await Relay(alpha.link_port).start()
        behind = alpha.model_copy(update={"link_port": self.relay.port})
        others = tuple(peer for peer in self.directory.remailers if peer is not alpha)
        self.seen = self.folder / "seen.json"
        self.seen.write_text(Directory(remailers=(behind, *others)).model_dump_json())
        self.port = free_port()
        self.own = self.folder / "alice"

    async def proxy(self, *options: str, keys: str = "alice") -> str:
        """Start a proxy; its ready line."""
        proxy = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "remailer", "proxy", "--chain=alpha,bravo,charlie", CELLS,
            f"--keys={self.folder / keys}", f"--spool={self.own / 'spool'}",
            f"--directory={self.seen}", f"--port={self.port}", *options,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        self.nodes["proxy"] = proxy
        assert proxy.stdout
        async with asyncio.timeout(30):
            return (await proxy.stdout.readline()).decode()

    async def write(self, mail: bytes, *recipients: str) -> None:
        """Hand in a mail, as a mail program does."""
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=self.port, start_tls=False) as client:
            to = list(recipients) or ["bob@recipient.test"]
            await client.sendmail("alice@sender.test", to, mail)

    async def stop(self) -> None:
        await super().stop()
        self.relay.stop()
        for file in (self.own / "spool").glob("*"):
            file.unlink()


@pytest.fixture(scope="module")
def made(nodes_made: Path) -> Path:  # noqa: F811
    """Keys of three nodes and two users, one of them alpha's guest."""
    entry = guest.make(nodes_made / "alice", "alice")
    guest.make(nodes_made / "mallory", "mallory")
    (nodes_made / "guests.json").write_text(json.dumps({"guests": [entry.model_dump()]}))
    return nodes_made


@pytest.fixture
async def web(made: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Proxied]:
    monkeypatch.setattr(test_node, "NODE", NODE)
    web = Proxied(made)
    await web.start()
    yield web
    await web.stop()


async def test_mail_through_the_proxy_arrives_without_its_user(web: Proxied) -> None:
    for name in NAMES:
        await web.run(name)
    assert await web.proxy() == "remailer proxy: ready, alpha answers\n"
    await web.write(mail("Grüße, and a first line.\n.\n", "Grüße"))
    (got,) = await web.receive()
    header, _, body = got.partition(b"\r\n\r\n")
    assert body == "Grüße, and a first line.\r\n..\r\n".encode()
    assert b"Subject: =?utf-8?" in header
    assert {line.partition(b":")[0] for line in header.split(b"\r\n")} == {
        *(b"From", b"To", b"Date", b"Message-ID", b"Subject"),
        *(b"MIME-Version", b"Content-Type", b"Content-Transfer-Encoding"),
    }
    for told in USERS:
        assert told not in got
    assert await web.end("proxy") == (0, b"")


async def test_a_killed_proxy_loses_and_doubles_nothing(web: Proxied) -> None:
    for name in NAMES:
        await web.run(name)
    await web.proxy()
    texts = {f"{number}\r\n" + "0123456789abcdef\r\n" * 9000 for number in range(6)}
    for text in texts:
        await web.write(mail(text))
    for wait in (0.0, 0.5, 1.0):
        await asyncio.sleep(wait)  # in the midst of it, wherever that is
        await web.end("proxy", signal.SIGKILL)
        await web.proxy()
    got = [one.partition(b"\r\n\r\n")[2].decode() for one in await web.receive(len(texts))]
    assert set(got) == texts
    await asyncio.sleep(1)
    assert web.got.empty()


async def test_the_first_remailer_may_be_down_for_a_while(web: Proxied) -> None:
    for name in ("bravo", "charlie"):
        await web.run(name)
    started = asyncio.create_task(web.proxy())
    assert "mail waits until alpha answers" in await started
    await web.write(mail("before\n"))
    for text in (b"before\r\n", b"after\r\n"):
        await web.run("alpha")
        assert (await web.receive())[0].endswith(text)
        await web.end("alpha", signal.SIGKILL)
        await web.write(mail("after\n"))
    assert web.got.empty()


async def test_who_is_no_guest_gets_no_cell(web: Proxied) -> None:
    await web.run("alpha")
    assert "are you its guest?" in await web.proxy(keys="mallory")
    assert web.relay.counts["in"] == web.relay.counts["out"] == 0
    await web.end("proxy")
    assert "alpha answers" in await web.proxy()


async def test_no_mail_is_routed_to_a_guest(web: Proxied) -> None:
    for name in NAMES:
        await web.run(name)
    await web.proxy()
    for domain in ("alice", "alice.remailer.test"):
        onward = f"::\r\nAnon-To: remailer@{domain}\r\n\r\n".encode()
        await web.mail("alpha", onward + b"for alice\r\n")
    await asyncio.sleep(1.5)
    assert ("alice.remailer.test", "MX") in web.dns.asked  # as any ordinary domain
    assert await web.end("proxy") == (0, b"")
    assert web.got.empty()


async def count(web: Proxied, seconds: float) -> tuple[int, int]:
    before = dict(web.relay.counts)
    await asyncio.sleep(seconds)
    return tuple(web.relay.counts[way] - before[way] for way in ("out", "in"))  # type: ignore[return-value]


@pytest.mark.alone
async def test_the_users_line_does_not_show_when_he_writes(web: Proxied) -> None:
    for name in NAMES:
        await web.run(name)
    await web.proxy()
    await asyncio.sleep(1)
    other = {way: web.relay.counts[f"{way} of another size"] for way in ("out", "in")}
    idle = await count(web, 4.0)
    writing = asyncio.create_task(count(web, 4.0))
    for number in range(10):
        await web.write(mail(f"{number}\n" * 1000))
    busy = await writing
    await web.receive(10)
    for quiet, loud in zip(idle, busy, strict=True):
        assert quiet == pytest.approx(160, rel=0.2)
        assert loud == pytest.approx(quiet, rel=0.1)
    assert other == {way: web.relay.counts[f"{way} of another size"] for way in ("out", "in")}


async def refused(web: Proxied, mail: bytes, *recipients: str) -> str:
    with pytest.raises((aiosmtplib.SMTPResponseException, aiosmtplib.SMTPRecipientsRefused)) as no:
        await web.write(mail, *recipients)
    if isinstance(no.value, aiosmtplib.SMTPRecipientsRefused):
        return f"{no.value.recipients[0].code} {no.value.recipients[0].message}"
    assert isinstance(no.value, aiosmtplib.SMTPResponseException)
    return f"{no.value.code} {no.value.message}"


async def test_what_cannot_be_sent_is_refused_with_the_reason(web: Proxied) -> None:
    await web.proxy()
    attached = EmailMessage()
    attached.set_content("see there\n")
    attached.add_attachment(b"x", maintype="image", subtype="png")
    too_large = b"\r\n" + b"0123456789abcdef\r\n" * 80_000
    assert "image/png" in await refused(web, attached.as_bytes().replace(b"\n", b"\r\n"))
    assert (await refused(web, too_large)).startswith("554 5.6.0 the mail would have")
    assert (await refused(web, mail("x"), "bob")).startswith("553 5.1.3")
    assert "drops mail to itself" in await refused(web, mail("x"), "bob@charlie.remailer.test")
    await web.write(mail("but this can\n"))


@pytest.mark.parametrize(
    "head",
    [b"POST / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\r\n", b"\r\n", b"\xff" * 70_000 + b"\r\n"],
)
async def test_a_web_page_cannot_write_in_the_users_name(web: Proxied, head: bytes) -> None:
    """A browser says HTTP first, or TLS, in which a page may have it say what it likes."""
    await web.proxy()
    reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
    said = b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<eve@recipient.test>\r\nDATA\r\n\r\nhere\r\n.\r\n"
    writer.write(head + said)
    answer = b""
    with suppress(OSError):
        while more := await reader.read(1000):
            answer += more
    assert b"250" not in answer
    writer.close()


async def test_it_listens_on_loopback_only(web: Proxied) -> None:
    await web.proxy()
    with (
        pytest.raises(OSError, match="refused"),
        socket.create_connection(("127.0.0.2", web.port), 1),
    ):
        pass


async def test_set_up_errors_are_one_line(web: Proxied, tmp_path: Path) -> None:
    proxy = partial(web.proxy, f"--spool={tmp_path}")
    await proxy()
    await web.write(mail("x"))  # alpha isn't there: it waits
    await web.end("proxy")
    assert "alpha" in await proxy()
    other = guest.load(web.folder / "mallory")
    sealed = Spool.open(tmp_path / "other" / "spool.db", other.secret)
    await sealed.leave(Leaving("remailer@alpha.remailer.test", b"x", 0.0, 1))
    sealed.close()
    for options, word in (
        (
            [f"--spool={tmp_path / 'other'}"],
            "1 mails in it can't be opened",
        ),
        ([], "in use"),
        ([f"--spool={tmp_path / 'b'}"], "is it taken"),
        ([f"--keys={tmp_path}"], "remailer guest"),
        (["--chain=*,bravo"], "name the first"),
        (["--chain=delta,bravo"], "no remailer 'delta'"),
    ):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "remailer", "proxy", "--chain=alpha,bravo",
            f"--keys={web.own}", f"--spool={tmp_path}", f"--directory={web.seen}",
            f"--port={web.port}", *options,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        assert (process.returncode, out, err.count(b"\n")) == (2, b"", 1), err
        assert word in err.decode()
