"""The plain link, and SMTP as a client (RFC 5321) for every link and for the exit.

A conversation says whose mail it is to nobody: the envelope sender is always empty. On a link it
never upgrades and never falls back: what a link speaks was decided before it was opened. Only the
exit asks for STARTTLS.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum, auto

import aiosmtplib

from remailer.directory import Peer
from remailer.errors import RemailerError, SetupError

CONNECT_SECONDS = 20.0
"""Connection, handshake and greeting of one host: so that the next has its turn, too."""
HANDSHAKE_SECONDS = 20.0
"""After STARTTLS."""
COMMAND_SECONDS = 300.0
"""EHLO, MAIL, RCPT (RFC 5321, 4.5.3.2)."""
DATA_SECONDS = 600.0
"""From DATA to the reply after the final dot (same section)."""
_TOO_BIG = 552
"""The reply to a mail bigger than the other side's SIZE."""

Admit = Callable[[asyncio.BaseTransport], bool]
"""Whether a connection that a link accepted is a peer's: asked once, before a byte is said."""

_RECIPIENT = re.compile(r"[!-;=?-~]{1,128}@[A-Za-z0-9._-]{1,255}")
"""What may stand between the brackets of RCPT TO: printable ASCII, no space, no bracket."""


class Unreachable(RemailerError):
    """Nobody answers, or not as expected, or the line broke: try again later."""


class Interrupted(Unreachable):
    """The line broke in the middle of a mail, and the other side keeps for a while what it has."""


class Outcome(Enum):
    """What became of one mail; only DELIVERED means that somebody else answers for it."""

    DELIVERED = auto()
    DEFERRED = auto()
    REFUSED = auto()


class Conversation:
    """One SMTP connection, over which mails go one after the other."""

    def __init__(self, client: aiosmtplib.SMTP) -> None:
        self._client = client

    @classmethod
    async def begin(
        cls,
        host: str,
        port: int,
        me: str,
        tls: ssl.SSLContext | None = None,
        patience: float = CONNECT_SECONDS,
    ) -> Conversation:
        """Connect, to greet as `me`. Raises Unreachable, after `patience` seconds of silence."""
        client = aiosmtplib.SMTP(
            hostname=host,
            port=port,
            local_hostname=me,
            timeout=patience,
            use_tls=tls is not None,
            tls_context=tls,
            start_tls=False,
        )
        try:
            await client.connect()
            client.timeout = COMMAND_SECONDS
            return cls(client)
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            client.close()
            raise Unreachable(f"{host}:{port}: {error}") from None
        except BaseException:
            client.close()
            raise

    @property
    def certificate(self) -> bytes | None:
        """The certificate that the other side proved to own, DER; None without TLS."""
        shown = self._client.get_transport_info("ssl_object")
        return shown.getpeercert(binary_form=True) if shown else None

    async def greet(self) -> Conversation:
        """Say EHLO, or HELO to those who don't know it. Raises Unreachable."""
        try:
            try:
                await self._client.ehlo()
            except aiosmtplib.SMTPHeloError:
                await self._client.helo()
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            self.close()
            raise Unreachable(str(error)) from None
        except BaseException:
            self.close()
            raise
        return self

    @property
    def offers_tls(self) -> bool:
        """Whether the other side would go on in TLS."""
        return self._client.supports_extension("starttls")

    async def secure(self, tls: ssl.SSLContext) -> Conversation:
        """Go on in TLS and greet again (RFC 3207). Raises Unreachable: the line is unfit then."""
        try:
            await self._client.starttls(tls_context=tls, timeout=HANDSHAKE_SECONDS)
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            self.close()
            raise Unreachable(str(error)) from None
        except BaseException:
            self.close()
            raise
        return await self.greet()

    async def send(self, recipient: str, mail: bytes) -> Outcome:
        """Hand over one mail. Raises Unreachable when the line broke: then it may have arrived."""
        if not _RECIPIENT.fullmatch(recipient):
            return Outcome.REFUSED
        try:
            refused = await self._transaction(recipient, mail)
        except aiosmtplib.SMTPDataError as error:
            # The reply to the data, if it isn't 250, or to DATA itself, where 250 makes no sense.
            accepted = error.code // 10 == 25 and error.code != 250
            refused = None if accepted else error.code
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise Unreachable(str(error)) from None
        if refused is None:
            return Outcome.DELIVERED
        if refused != 421:
            # Also after DATA: hosts that refuse it still wait for it, and the next MAIL would get
            # 503. Who hangs up after a refusal has refused all the same.
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                await self._client.execute_command(b"RSET")
        return _outcome(refused)

    async def _transaction(self, recipient: str, mail: bytes) -> int | None:
        """The code of the reply that ended it; None if the mail was taken."""
        options = []
        if self._client.supports_extension("size"):
            most = self._client.esmtp_extensions["size"].strip()
            if most.isdecimal() and 0 < int(most) < len(mail):
                return _TOO_BIG  # it would be, at MAIL (RFC 1870, 6.1)
            options.append(b"SIZE=%d" % len(mail))
        if not mail.isascii() and self._client.supports_extension("8bitmime"):
            options.append(b"BODY=8BITMIME")
        commands: tuple[Sequence[bytes], ...] = (
            (b"MAIL", b"FROM:<>", *options),
            (b"RCPT", b"TO:<" + recipient.encode("ascii") + b">"),
        )
        for command in commands:
            reply = await self._client.execute_command(*command)
            if reply.code // 100 != 2:
                return reply.code
        await self._client.data(mail, timeout=DATA_SECONDS)
        return None

    async def end(self) -> None:
        """Say QUIT; never fails."""
        try:
            await self._client.quit(timeout=5)
        except (aiosmtplib.SMTPException, OSError):
            self.close()

    def close(self) -> None:
        """Hang up."""
        self._client.close()


def _outcome(code: int) -> Outcome:
    # Only 5xx is for ever (RFC 5321, 4.2.1); whatever is neither 2xx nor 5xx is tried again.
    return Outcome.REFUSED if code // 100 == 5 else Outcome.DEFERRED


class SmtpLink:
    """SMTP in clear on the peers' agreed port: what it carries, whoever reads the wire can read."""

    def __init__(self, domain: str) -> None:
        self._domain = domain

    async def open(
        self,
        protocol: Callable[[Admit], asyncio.BaseProtocol],
        host: str | None,
        port: int,
    ) -> asyncio.Server:
        """Listen; anybody may connect, as nobody can be told from anybody else."""
        return await listen(lambda: protocol(lambda transport: True), host, port)

    async def connect(self, peer: Peer) -> Conversation:
        """Greet the first of the peer's hosts that answers. Raises Unreachable."""
        return await first_host(peer, lambda host: self._begin(peer, host))

    async def _begin(self, peer: Peer, host: str) -> Conversation:
        conversation = await Conversation.begin(host, peer.link_port, self._domain)
        return await conversation.greet()


async def first_host(peer: Peer, begin: Callable[[str], Awaitable[Conversation]]) -> Conversation:
    """Try a peer's hosts in the directory's order."""
    last: Unreachable | None = None
    for host in peer.hosts:
        try:
            return await begin(host)
        except Unreachable as error:
            last = error
    raise last or Unreachable(f"{peer.name}: no host in the directory")


async def listen(
    factory: Callable[[], asyncio.BaseProtocol],
    host: str | None,
    port: int,
    *,
    serve: bool = True,
) -> asyncio.Server:
    """Bind a port; None is every interface. Raises SetupError."""
    try:
        return await asyncio.get_running_loop().create_server(
            factory, host, port, start_serving=serve
        )
    except OSError as error:
        raise SetupError(f"port {port}: {error.strerror}: is it taken or not allowed?") from None
