"""STARTTLS on port 25, both ways over real TLS: taken where it is offered, and nothing worse."""

from __future__ import annotations

import asyncio
import os
import pty
import random
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiosmtplib
import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from node_web import Dns, pair, write_pair
from test_listener import DOMAIN, ME, Talk

from remailer import listener
from remailer.errors import SetupError
from remailer.exit import Exit
from remailer.gate import Gate
from remailer.link.smtp import Outcome, listen
from remailer.listener import Desk, Door
from remailer.resolver import Resolver
from remailer.starttls import HostKey, client_context

MAIL = b"Subject: x\r\n\r\nhello\r\n"


class Served:
    """A listener that offers STARTTLS."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []
        self.gate = Gate(5)
        self.port = 0

    async def accept(self, mail: bytes) -> None:
        self.mails.append(mail)

    async def talk(self) -> Talk:
        talk = Talk(*await asyncio.open_connection("127.0.0.1", self.port))
        assert (await talk.reply()).startswith("220")
        return talk


@asynccontextmanager
async def serving(host_key: HostKey | None) -> AsyncIterator[Served]:
    served = Served()
    desk = Desk(DOMAIN, served.accept)
    server = await listen(lambda: Door(desk, served.gate, lambda _: True, host_key), "127.0.0.1", 0)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()
        served.gate.close()


@asynccontextmanager
async def leaving(port: int) -> AsyncIterator[Exit]:
    server = await Dns({("x.test", "A"): ("127.0.0.1",)}).start()
    yield Exit("me.test", Resolver("127.0.0.1", server.port), random.Random(1), port=port)
    server.stop()


def shake(context: ssl.SSLContext, port: int, session: ssl.SSLSession | None) -> ssl.SSLSocket:
    """A client by hand, which could resume a session."""
    plain = socket.create_connection(("127.0.0.1", port), timeout=10)
    _say(plain, b"")
    _say(plain, b"EHLO x\r\n")
    _say(plain, b"STARTTLS\r\n")
    secured = context.wrap_socket(plain, session=session)
    _say(secured, b"EHLO x\r\n")
    return secured


def _say(connection: socket.socket, line: bytes) -> None:
    connection.sendall(line)
    reply = b""
    while reply[-1:] != b"\n" or reply.splitlines()[-1][3:4] == b"-":
        reply += connection.recv(500)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_mail_comes_in_over_tls_and_nothing_can_be_resumed(version: ssl.TLSVersion) -> None:
    context = client_context()
    context.maximum_version = version
    async with serving(HostKey.make(DOMAIN)) as served:
        client = aiosmtplib.SMTP(hostname="127.0.0.1", port=served.port, start_tls=False)
        async with client:
            await client.ehlo(hostname="me")
            assert client.supports_extension("starttls")
            await client.starttls(tls_context=context)
            await client.ehlo(hostname="me")
            assert not client.supports_extension("starttls")
            await client.sendmail("a@b.test", ME, MAIL)
            shown = client.get_transport_info("ssl_object")
            assert shown.version() == version.name.replace("v1_", "v1.")
        first = await asyncio.to_thread(shake, context, served.port, None)
        again = await asyncio.to_thread(shake, context, served.port, first.session)
        assert not again.session_reused
        assert not (first.session and first.session.has_ticket)
        for one in (first, again):
            one.close()
    assert served.mails == [MAIL]


async def test_what_was_said_in_clear_is_forgotten() -> None:
    """No command sent in clear behind STARTTLS is obeyed, nor what was said before it."""
    async with serving(HostKey.make(DOMAIN)) as served:
        talk = await served.talk()
        for line in ("EHLO x", "MAIL FROM:<>", f"RCPT TO:<{ME}>"):
            assert (await talk.say(line)).startswith("250")
        injected = b"STARTTLS\r\nEHLO evil\r\nMAIL FROM:<>\r\n"
        assert (await talk.send(injected)).startswith("220")
        await talk.writer.start_tls(client_context())
        assert (await talk.say("DATA")).startswith("503")
        assert (await talk.say("MAIL FROM:<>")).startswith("503")
        assert (await talk.say("EHLO x")).startswith("250")
        assert (await talk.say("STARTTLS")).startswith("502")
        assert (await talk.say("NOOP")).startswith("250")


async def test_a_handshake_that_fails_or_never_comes_gives_its_place_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener, "HANDSHAKE_SECONDS", 0.3)
    async with serving(HostKey.make(DOMAIN)) as served:
        silent, nonsense, gone = [await served.talk() for _ in range(3)]
        for talk in (silent, nonsense, gone):
            assert (await talk.say("STARTTLS")).startswith("220")
        nonsense.writer.write(b"MAIL FROM:<>\r\n" * 20)
        gone.writer.transport.abort()
        async with asyncio.timeout(5):
            while served.gate.open:
                await asyncio.sleep(0.02)
            assert b"250" not in await silent.reader.read()
        for number in range(3):
            served.mails.clear()
            talk = await served.talk()
            assert (await talk.say(f"EHLO x{number}")).startswith("250")


async def test_without_a_key_it_is_not_there() -> None:
    async with serving(None) as served:
        talk = await served.talk()
        assert (await talk.say("STARTTLS")).startswith("502")
        assert (await talk.say("NOOP")).startswith("250")


async def test_the_exit_takes_it_and_verifies_nobody() -> None:
    async with serving(HostKey.make("somebody.else.test")) as served, leaving(served.port) as exit_:
        conversation = await exit_.connect("x.test")
        assert conversation.certificate is not None
        assert await conversation.send(ME, MAIL) is Outcome.DELIVERED
        await conversation.end()
    assert served.mails == [MAIL]


async def test_the_exit_goes_on_in_clear_if_the_handshake_fails() -> None:
    lines: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 x\r\n")
        while line := await reader.readline():
            lines.append(line)
            if line.startswith(b"STARTTLS"):
                writer.write(b"220 go\r\nthis is no handshake\r\n")
                await writer.drain()
                break
            writer.write(b"250-x\r\n250 STARTTLS\r\n" if line[:4] == b"EHLO" else b"250 ok\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, leaving(server.sockets[0].getsockname()[1]) as exit_:
        conversation = await exit_.connect("x.test")
        assert conversation.certificate is None
        await conversation.end()
    assert lines == [b"EHLO me.test\r\n", b"STARTTLS\r\n", b"EHLO me.test\r\n", b"QUIT\r\n"]


async def test_the_operators_own_certificate(tmp_path: Path) -> None:
    keys = pair("alpha")
    certificate, key = write_pair(tmp_path, "host", keys)
    async with serving(HostKey.of(certificate, key)) as served, leaving(served.port) as exit_:
        conversation = await exit_.connect("x.test")
        assert conversation.certificate == ssl.PEM_cert_to_DER_cert(keys[1])
        await conversation.end()
        key.unlink()  # as while it is renewed: the mail comes in clear
        conversation = await exit_.connect("x.test")
        assert conversation.certificate is None
        await conversation.end()
    with pytest.raises(SetupError, match="--certificate"):
        HostKey.of(certificate, key)
    key.write_text("no key")
    with pytest.raises(SetupError, match="--certificate"):
        HostKey.of(certificate, key)


LOAD = """
import fcntl, sys, termios
from pathlib import Path
from remailer.errors import SetupError
from remailer.starttls import HostKey
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
try:
    HostKey.of(Path(sys.argv[1]), Path(sys.argv[2]))
except SetupError as error:
    print(error)
"""


def test_a_key_with_a_passphrase_is_an_error_and_no_question(tmp_path: Path) -> None:
    certificate, key = write_pair(tmp_path, "host", pair("alpha"))
    secret = load_pem_private_key(key.read_bytes(), None)
    sealed = BestAvailableEncryption(b"phrase")
    key.write_bytes(secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, sealed))
    ours, terminal = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", LOAD, certificate, key],
        stdin=terminal,
        stdout=subprocess.PIPE,
        start_new_session=True,
        timeout=20,
        check=True,
    )
    assert done.stdout.startswith(b"--certificate")
    assert b"without a passphrase" in done.stdout
    os.close(ours)
    os.close(terminal)


async def test_sslkeylogfile_is_not_obeyed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "log"))
    async with serving(HostKey.make(DOMAIN)) as served, leaving(served.port) as exit_:
        await (await exit_.connect("x.test")).end()
    assert not (tmp_path / "log").exists()
