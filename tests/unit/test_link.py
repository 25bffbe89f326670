"""The links: real TLS both ways on loopback, and each refusal."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from node_web import directory, free_port, pair, peer, write_pair

from remailer.gate import Gate
from remailer.link import porch
from remailer.link.smtp import Conversation, Outcome, SmtpLink, Unreachable
from remailer.link.tls import TlsLink
from remailer.listener import Desk, Door

ALPHA, BRAVO, STRANGER = pair("alpha"), pair("bravo"), pair("stranger")
DELIVERED = Outcome.DELIVERED
MAIL = b"Subject: x\r\nMessage-ID: <1@x>\r\n\r\nhello\r\n"


class Bravo:
    """Bravo's link port, with whatever certificate it is made to show."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.mails: list[bytes] = []
        self.connections = 0
        self.entries = directory(peer("alpha", 1, ALPHA[1]), peer("bravo", self.port, BRAVO[1]))
        self.bravo = self.entries.remailers[1]

    async def accept(self, mail: bytes) -> None:
        self.mails.append(mail)

    def link(self, keys: tuple[str, str], name: str) -> TlsLink:
        return TlsLink(f"{name}.remailer.test", *write_pair(self.folder, name, keys), self.entries)

    async def serve(self, keys: tuple[str, str] = BRAVO) -> asyncio.Server:
        desk, gate = Desk("bravo.remailer.test", self.accept), Gate(5)

        def door(admit: Callable[[asyncio.BaseTransport], bool]) -> Door:
            self.connections += 1
            return Door(desk, gate, admit)

        return await self.link(keys, "bravo").open(door, "127.0.0.1", self.port)

    async def raw(self, context: ssl.SSLContext) -> bytes:
        """What the server says to a client of that making; b"" if it hangs up."""
        try:
            async with asyncio.timeout(5):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=context)
                writer.write(b"EHLO x\r\nMAIL FROM:<>\r\n")
                return await reader.read(3)
        except (OSError, ssl.SSLError):
            return b""


@pytest.fixture
def web(tmp_path: Path) -> Bravo:
    return Bravo(tmp_path)


def client(folder: Path, keys: tuple[str, str] | None, **settings: object) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for name, value in settings.items():
        setattr(context, name, value)
    if keys:
        context.load_cert_chain(*write_pair(folder, "client", keys))
    return context


async def test_peers_talk_and_keep_the_line(web: Bravo) -> None:
    async with await web.serve():
        conversation = await web.link(ALPHA, "alpha").connect(web.bravo)
        assert await conversation.send("remailer@bravo.remailer.test", MAIL) is Outcome.DELIVERED
        assert await conversation.send("bob@bravo.remailer.test", MAIL) is Outcome.REFUSED
        assert await conversation.send("remailer@bravo.remailer.test", MAIL) is Outcome.DELIVERED
        shown = conversation._client.get_transport_info("ssl_object")
        assert shown.version() == "TLSv1.3"
        assert not shown.session_reused
        assert shown.session is None or not shown.session.has_ticket
        await conversation.end()
    assert web.mails == [MAIL, MAIL]
    assert web.connections == 1


async def test_positive_control_of_the_raw_client(web: Bravo, tmp_path: Path) -> None:
    async with await web.serve():
        assert await web.raw(client(tmp_path, ALPHA)) == b"220"


async def test_server_refuses_all_but_the_directorys_keys(web: Bravo, tmp_path: Path) -> None:
    async with await web.serve():
        assert await web.raw(client(tmp_path, None)) == b""
        assert await web.raw(client(tmp_path, STRANGER)) == b""
        # The right name, another key.
        impostor = await asyncio.to_thread(pair, "alpha", 1)
        assert await web.raw(client(tmp_path, impostor)) == b""
        tls12 = ssl.TLSVersion.TLSv1_2
        assert await web.raw(client(tmp_path, ALPHA, maximum_version=tls12)) == b""
        reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
        writer.write(b"EHLO x\r\n")
        assert b"220" not in await reader.read(100)
    assert web.mails == []


async def test_client_refuses_all_but_that_peers_key(web: Bravo) -> None:
    alpha = web.link(ALPHA, "alpha")
    for shown in (STRANGER, ALPHA, pair("bravo", 1)):
        server = await web.serve(shown)
        with pytest.raises(Unreachable):
            await alpha.connect(web.bravo)
        server.close()
    assert web.connections <= 3  # the door of the client's hung-up ones may have been made
    async with await web.serve():
        await (await alpha.connect(web.bravo)).end()


async def test_expired_is_refused_both_ways(web: Bravo, tmp_path: Path) -> None:
    old = pair("bravo", 10, 5)
    old_alpha = pair("alpha", 10, 5)
    web.entries = directory(peer("alpha", 1, old_alpha[1]), peer("bravo", web.port, old[1]))
    async with await web.serve(old):
        with pytest.raises(Unreachable, match="expired"):
            await web.link(ALPHA, "alpha").connect(web.entries.remailers[1])
        assert await web.raw(client(tmp_path, old_alpha)) == b""


async def test_a_pinned_key_is_no_authority_for_others(web: Bravo, tmp_path: Path) -> None:
    """A certificate that the pinned key signed for another key chains up, and is refused."""
    async with await web.serve():
        assert await web.raw(client(tmp_path, _signed_by(ALPHA))) == b""
    server = await web.serve(_signed_by(BRAVO))
    with pytest.raises(Unreachable):
        await web.link(ALPHA, "alpha").connect(web.bravo)
    server.close()


async def test_two_certificates_while_keys_change(web: Bravo) -> None:
    new = pair("bravo", 1)
    entry = peer("bravo", web.port, BRAVO[1], new[1])
    web.entries = directory(peer("alpha", 1, ALPHA[1]), entry)
    for shown in (BRAVO, new):
        async with await web.serve(shown):
            await (await web.link(ALPHA, "alpha").connect(entry)).end()


async def test_nothing_can_be_resumed(web: Bravo, tmp_path: Path) -> None:
    context = client(tmp_path, ALPHA)
    async with await web.serve():
        assert await web.raw(context) == b"220"
        reader, writer = await asyncio.open_connection("127.0.0.1", web.port, ssl=context)
        await reader.readline()
        shown = writer.get_extra_info("ssl_object")
        assert shown.session is None or not shown.session.has_ticket
        assert context.session_stats()["hits"] == 0


async def test_sslkeylogfile_is_not_obeyed(
    web: Bravo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "keys.log"
    monkeypatch.setenv("SSLKEYLOGFILE", str(log))
    assert os.environ["SSLKEYLOGFILE"]
    async with await web.serve():
        conversation = await web.link(ALPHA, "alpha").connect(web.bravo)
        await conversation.send("remailer@bravo.remailer.test", MAIL)
        await conversation.end()
    assert web.mails == [MAIL]
    assert not log.exists()


async def test_strangers_on_the_porch_are_few_and_hold_up_no_peer(
    web: Bravo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(porch, "MOST_WAITING", 5)
    monkeypatch.setattr(porch, "HANDSHAKE_SECONDS", 2.0)
    async with await web.serve():
        from_elsewhere, elsewhere = await asyncio.open_connection(
            "127.0.0.1", web.port, local_addr=("127.0.0.2", 0)
        )
        strangers = [await asyncio.open_connection("127.0.0.1", web.port) for _ in range(20)]
        async with asyncio.timeout(5):
            for reader, _ in strangers[:16]:  # the others sent these away, not the time limit
                with suppress(ConnectionError):
                    assert await reader.read() == b""
            assert not any(reader.at_eof() for reader in (from_elsewhere, strangers[19][0]))
            elsewhere.close()
            conversation = await web.link(ALPHA, "alpha").connect(web.bravo)
            assert await conversation.send("remailer@bravo.remailer.test", MAIL) is DELIVERED
            for reader, _ in strangers:
                with suppress(ConnectionError):
                    assert await reader.read() == b""
            # It was only the porch that was left.
            assert await conversation.send("remailer@bravo.remailer.test", MAIL) is DELIVERED
            await conversation.end()
    assert web.mails == [MAIL, MAIL]
    assert web.connections == 1


async def test_plain_link(web: Bravo) -> None:
    entry = peer("bravo", web.port, BRAVO[1], speaks="smtp")
    desk, gate = Desk("bravo.remailer.test", web.accept), Gate(5)
    link = SmtpLink("alpha.remailer.test")
    async with await link.open(lambda admit: Door(desk, gate, admit), "127.0.0.1", web.port):
        conversation = await link.connect(entry)
        assert await conversation.send("remailer@bravo.remailer.test", MAIL) is Outcome.DELIVERED
        await conversation.end()
        # What speaks TLS never falls back to that.
        with pytest.raises(Unreachable):
            await web.link(ALPHA, "alpha").connect(web.bravo)
    assert web.mails == [MAIL]


@pytest.mark.parametrize(
    "recipient",
    ["a@b.test> SIZE=1", "a b@c.test", "a@b.test\r\nRSET", "<a@b.test", "\xe9@b.test", "x"],
)
async def test_no_recipient_injects_a_command(recipient: str, web: Bravo) -> None:
    async with await web.serve():
        conversation = await web.link(ALPHA, "alpha").connect(web.bravo)
        assert await conversation.send(recipient, MAIL) is Outcome.REFUSED
        await conversation.end()


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        ([b"220 x", b"250 x", b"250 ok", b"250 ok", b"354 go", b"250 ok"], Outcome.DELIVERED),
        ([b"220 x", b"250 x", b"250 ok", b"250 ok", b"354 go", b"451 no"], Outcome.DEFERRED),
        ([b"220 x", b"250 x", b"250 ok", b"250 ok", b"354 go", b"554 no"], Outcome.REFUSED),
        ([b"220 x", b"250 x", b"250 ok", b"450 no", b"250 ok"], Outcome.DEFERRED),
        ([b"220 x", b"250 x", b"250 ok", b"250 ok", b"354 go", b"252 ok"], Outcome.DELIVERED),
        ([b"220 x", b"250 x", b"250 ok", b"250 ok", b"250 what"], Outcome.DEFERRED),
        ([b"220 x", b"250 x", b"250 ok", b"250 ok", b"221 bye"], Outcome.DEFERRED),
        ([b"220 x", b"250 x", b"250 ok", b"550 no", b"250 ok"], Outcome.REFUSED),
        ([b"220 x", b"250 x", b"250 ok", b"550 no"], Outcome.REFUSED),
        ([b"220 x", b"500 what", b"250 helo", b"550 no", b"250 ok"], Outcome.REFUSED),
        ([b"220 x", b"250 x", b"250 ok", b"250 ok", b"354 go"], None),
        ([b"220 x", b"250 x", b"421 busy"], Outcome.DEFERRED),
        ([b"220 x", b"250 x", b"250 ok", b"421 busy"], Outcome.DEFERRED),
        ([b"220 x", b"250 x", b"250 ok", b"250 ok", b"354 go", b"421 busy"], Outcome.DEFERRED),
        ([b"220 x", b"250-x\r\n250 SIZE 10"], Outcome.REFUSED),
        ([b"220 x", b"250-x\r\n250 SIZE 0", b"250 ok", b"550 no"], Outcome.REFUSED),
        ([b"220 x", b"250 x"], None),
        ([b"421 busy"], None),
        ([b"554 no"], None),
        ([b"gibberish"], None),
    ],
)
async def test_what_servers_answer(script: list[bytes], outcome: Outcome | None) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number, line in enumerate(script):
            if number:
                await reader.readuntil(b"\r\n.\r\n" if script[number - 1][:3] == b"354" else b"\n")
            writer.write(line + b"\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", port := free_port()):
        try:
            conversation = await Conversation.begin("127.0.0.1", port, "me.test")
            got = await (await conversation.greet()).send("a@b.test", MAIL)
        except Unreachable:
            got = None
    assert got is outcome


@pytest.mark.parametrize("no", [b"450 later", b"550 never"])
async def test_a_refusal_of_one_mail_is_none_of_the_next(no: bytes) -> None:
    """Postfix, when a policy refuses DATA, still waits for it: the next MAIL would be nested."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 x\r\n")
        open_, refused = False, False
        while line := await reader.readline():
            reply = b"250 ok"
            if line.startswith(b"MAIL") and open_:
                reply = b"503 5.5.1 Error: nested MAIL command"
            elif line.startswith(b"MAIL"):
                open_ = True
            elif line.startswith(b"RSET"):
                open_ = False
            elif line.startswith(b"DATA") and not refused:
                refused, reply = True, no
            elif line.startswith(b"DATA"):
                writer.write(b"354 go\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                open_ = False
            writer.write(reply + b"\r\n")

    async with await asyncio.start_server(serve, "127.0.0.1", port := free_port()):
        conversation = await (await Conversation.begin("127.0.0.1", port, "me.test")).greet()
        outcome = await conversation.send("a@b.test", MAIL)
        assert outcome is (Outcome.DEFERRED if no[:1] == b"4" else Outcome.REFUSED)
        assert await conversation.send("c@b.test", MAIL) is Outcome.DELIVERED
        await conversation.end()


def _signed_by(issuer: tuple[str, str]) -> tuple[str, str]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    ca = x509.load_pem_x509_certificate(issuer[1].encode())
    ca_key = serialization.load_pem_private_key(issuer[0].encode(), None)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder(
            issuer_name=ca.subject,
            subject_name=x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "leaf")]),
            public_key=key.public_key(),
            serial_number=1,
            not_valid_before=ca.not_valid_before_utc,
            not_valid_after=ca.not_valid_after_utc,
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(ca_key, hashes.SHA256())  # type: ignore[arg-type]
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    chain = certificate.public_bytes(serialization.Encoding.PEM).decode() + issuer[1]
    return pem.decode(), chain


async def test_many_peers_at_once_are_all_answered(web: Bravo, tmp_path: Path) -> None:
    """Also while others of them are just hanging up."""
    desk, gate = Desk("bravo.remailer.test", web.accept), Gate(100)
    context = client(tmp_path, ALPHA)

    async def visit() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", web.port, ssl=context)
        writer.write(b"EHLO x\r\nQUIT\r\n")
        said = await reader.read()
        writer.close()
        return said

    def door(admit: Callable[[asyncio.BaseTransport], bool]) -> Door:
        return Door(desk, gate, admit)

    async with await web.link(BRAVO, "bravo").open(door, "127.0.0.1", web.port):
        for _ in range(25):
            for said in await asyncio.wait_for(asyncio.gather(*(visit() for _ in range(8))), 20):
                assert b"\r\n221 " in said
