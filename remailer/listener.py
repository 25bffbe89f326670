"""The listener: SMTP as a server (RFC 5321), on port 25 for anybody and on the link port for peers.

The rule: 250 after the data means that the mail is durable. Nothing about the peer is kept: not
its address, nor what it calls itself, nor the envelope sender, which is read and forgotten.

aiosmtpd does the talking. What of it is not for us is replaced here: its end of data (lone CR or
LF, endless lines and endless mails are ours to judge), its address parser, VRFY and HELP, which
repeat what they are told, AUTH, its one time-out, and replies that describe an exception. It logs
peers and addresses at every step: `silence` sees to that.
"""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiosmtpd.smtp import SMTP, Envelope, Session, TLSSetupException

from remailer.answers import asked_by
from remailer.blocked import Blocked
from remailer.clean import refusal
from remailer.errors import SpoolFull
from remailer.gate import Gate, origin
from remailer.message import MAX_MAIL
from remailer.starttls import HANDSHAKE_SECONDS, HostKey

IDLE_SECONDS = 60.0
CONNECTION_SECONDS = 600.0
MAX_ERRORS = 20
"""Replies of 4xx and 5xx on one connection, then it is cut; what Postfix has."""
MAX_IDLE_REPLIES = 200
"""Replies since the last mail that was taken (or the connection), then it is cut: a mail to a
hundred recipients (RFC 5321, 4.5.3.1.8) has some hundred."""
MAX_RECIPIENTS = 100
LOCAL_PARTS = ("remailer", "postmaster", "abuse")
"""Mail to the last two is accepted (RFC 5321, 4.5.1; RFC 2142) and read like any other."""

_COMMANDS = frozenset(
    ["HELO", "EHLO", "STARTTLS", "MAIL", "RCPT", "DATA", "RSET", "NOOP", "QUIT", "VRFY", "HELP"]
)
_CHUNK = 65_536
_END = b"\r\n.\r\n"
_MOST_DATA = MAX_MAIL + MAX_MAIL // 2
"""Bytes of DATA that are kept: doubled dots count too, at most one in four bytes."""
_PATH = re.compile(r"<(?:@[^<>\s:]+:)?((?:\"(?:[^\"\\]|\\.)*\"|[^<>\s\"@]+)(?:@[^<>\s]+)?|)>(.*)")

NOBODY = "<>"
"""The empty envelope sender: all that is kept of one, until the data has come."""

Accept = Callable[[bytes], Awaitable[None]]
"""Makes a mail durable; raises SpoolFull."""


@dataclass(frozen=True)
class Desk:
    """The handler that aiosmtpd asks: whose mail is taken, and where it goes."""

    domain: str
    accept: Accept
    blocked: Blocked = field(default_factory=Blocked)
    strict: bool = False
    """Whether who begins with what isn't SMTP is cut at once."""

    async def handle_EHLO(
        self, door: Door, session: Session, envelope: Envelope, name: str, replies: list[str]
    ) -> list[str]:
        """What we can do; what the client calls itself is not kept."""
        session.host_name = "-"
        tls = ["250-STARTTLS"] if door.offers_tls else []
        return [f"250-{self.domain}", *tls, "250-8BITMIME", f"250 SIZE {MAX_MAIL}"]

    async def handle_HELO(self, door: Door, session: Session, envelope: Envelope, name: str) -> str:
        """The same for old clients."""
        session.host_name = "-"
        return f"250 {self.domain}"

    async def handle_MAIL(
        self, door: Door, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Anybody may send, but not endlessly; who it is is not kept."""
        if door.gate.spent(door):
            return "450 4.7.1 Too much from your address: try again in a minute"
        if self.blocked.source(address):
            return "550 5.7.1 Your mail is not taken here"
        envelope.mail_from = NOBODY if address == NOBODY else "-"
        return "250 2.1.0 OK"

    async def handle_RCPT(
        self, door: Door, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Only this remailer's own addresses."""
        local, at, domain = address.rpartition("@")
        if not at:
            local, domain = domain, self.domain if domain.lower() == "postmaster" else ""
        if domain.lower() != self.domain:
            return "550 5.7.1 Relaying denied"
        if local.lower() not in LOCAL_PARTS:
            return "550 5.1.1 No such address here"
        if len(envelope.rcpt_tos) >= MAX_RECIPIENTS:
            return "452 4.5.3 Too many recipients"
        envelope.rcpt_tos.append("-")
        return "250 2.1.5 OK"

    async def handle_DATA(self, door: Door, session: Session, envelope: Envelope) -> str:
        """Say 250 when it is durable, and not before."""
        mail, envelope.content = envelope.content, None
        assert isinstance(mail, bytes)
        if envelope.mail_from == NOBODY and asked_by(mail):
            return "250 2.0.0 OK"  # but nobody is never answered (RFC 3834, section 2)
        try:
            # Shielded: what is committed goes on its way, also when the client hangs up meanwhile.
            await asyncio.shield(asyncio.ensure_future(self.accept(mail)))
        except SpoolFull:
            return "452 4.3.1 Insufficient system storage"
        return "250 2.0.0 OK"

    async def handle_exception(self, error: Exception) -> str:
        """Whatever it was, the client learns nothing of it."""
        return "451 4.3.0 Try again later"


class Door(SMTP):
    """One connection."""

    line_length_limit = _CHUNK

    def __init__(
        self,
        desk: Desk,
        gate: Gate,
        admit: Callable[[asyncio.BaseTransport], bool],
        host_key: HostKey | None = None,
    ) -> None:
        """`host_key`: what STARTTLS shows; without one it isn't there."""
        # aiosmtpd shares this table between all connections; ours is the connection's own.
        self.command_size_limits = defaultdict(lambda: self.command_size_limit)
        super().__init__(
            desk,
            data_size_limit=MAX_MAIL,
            hostname=desk.domain,
            ident="ESMTP",
            timeout=IDLE_SECONDS,
            loop=asyncio.get_running_loop(),
        )
        self._smtp_methods = {name: self._smtp_methods[name] for name in _COMMANDS}
        self._host_key = host_key
        self.gate = gate
        self._errors = self._replies = 0
        self._admit = admit
        self._in_data = self.storing = False
        self._end_of_time: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or hang up: not a peer's, or one too many."""
        assert isinstance(transport, asyncio.Transport)
        if self in self.gate.open:
            self._greet(transport)  # now in TLS: aiosmtpd forgets all that was said in clear
        elif not self._admit(transport):
            transport.abort()
        elif no := self.gate.refusal(origin(transport)):
            transport.write(no.encode() + b"\r\n")
            transport.close()
        else:
            self.gate.open[self] = origin(transport)
            self._end_of_time = self.loop.call_later(CONNECTION_SECONDS, self._time_is_up)
            self._greet(transport)

    def _greet(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        if self.session is not None:
            self.session.peer = None

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the connection."""
        if self in self.gate.open:
            self.gate.left(self)
            if self._end_of_time:
                self._end_of_time.cancel()
            super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        """Bytes of a mail keep the connection alive; bytes of half a command don't."""
        if self in self.gate.open:
            if self._in_data:
                self._reset_timeout()
            super().data_received(data)

    def eof_received(self) -> bool | None:
        """The client has nothing more to say."""
        return bool(super().eof_received()) if self in self.gate.open else None

    def abort(self) -> None:
        """Hang up at once, also on those who don't read."""
        if isinstance(self.transport, asyncio.Transport):
            self.transport.abort()

    def _time_is_up(self) -> None:
        if self.storing:  # who is cut now would send a mail again that we have
            self._end_of_time = self.loop.call_later(IDLE_SECONDS, self._time_is_up)
        else:
            self.abort()

    def _timeout_cb(self) -> None:
        if self.storing:  # it is we who are slow
            self._reset_timeout()
        elif isinstance(self.transport, asyncio.Transport):
            self.transport.write(b"421 4.4.2 Idle for too long\r\n")
            self.transport.close()
            self.loop.call_later(5, self.abort)

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        """`<address> parameters`; the empty address is `<>`, (None, None) is a syntax error."""
        found = _PATH.fullmatch(arg.strip())
        return (found[1] or "<>", found[2].strip()) if found else (None, None)

    async def push(self, status: str) -> None:  # type: ignore[override]  # ours are all text
        """Reply; who gets errors only, or talks on and on without a mail, is cut."""
        await super().push(status)
        if status[3:4] != "-":
            self._replies += 1
            self._errors += status[0] in "45"
            greeted = self.session is not None and self.session.host_name
            no_smtp = self.event_handler.strict and status[0] == "5" and not greeted
            if no_smtp or self._errors >= MAX_ERRORS or self._replies >= MAX_IDLE_REPLIES:
                self._errors = self._replies = 0
                await super().push("421 4.7.0 Too many errors, or too much talk")
                if self.transport is not None:
                    self.transport.close()
                    # Until the task is ended: what came behind isn't read.
                    await asyncio.Event().wait()

    @property
    def offers_tls(self) -> bool:
        """Whether STARTTLS can be said now."""
        return self._host_key is not None and self.session is not None and self.session.ssl is None

    async def smtp_STARTTLS(self, arg: str | None) -> None:
        """Go on in TLS (RFC 3207), as if just connected: what came in clear behind is dropped."""
        if self._host_key is None or not self.offers_tls:
            await self.push("502 5.5.1 No STARTTLS here, or no more")
        elif arg:
            await self.push("501 5.5.4 Syntax: STARTTLS")
        else:
            try:
                self.tls_context = self._host_key.context()
            except OSError:  # ssl.SSLError is one
                await self.push("454 4.7.0 TLS not available")
                return
            try:
                async with asyncio.timeout(HANDSHAKE_SECONDS):
                    await super().smtp_STARTTLS(None)
            except TimeoutError:
                raise TLSSetupException from None
            if self.offers_tls:  # the line broke: nobody else tells us
                raise TLSSetupException

    async def smtp_VRFY(self, arg: str) -> None:
        """Tell nothing (RFC 5321, 7.3)."""
        await self.push("252 2.5.0 Send mail to find out")

    async def smtp_HELP(self, arg: str) -> None:
        """Tell what everybody knows."""
        await self.push("214 2.0.0 RFC 5321")

    async def smtp_DATA(self, arg: str | None) -> None:
        """Read a mail up to CRLF . CRLF, which nothing else stands for, and hand it in."""
        envelope = self.envelope
        assert envelope is not None
        if not envelope.rcpt_tos:
            await self.push("503 5.5.1 RCPT first")
        elif arg:
            await self.push("501 5.5.4 Syntax: DATA")
        else:
            await self.push("354 End data with <CR><LF>.<CR><LF>")
            self._in_data = True
            data = await self._read_data()
            self._in_data = False
            self.envelope = Envelope()
            mail = None if data is None else data[:-3].replace(b"\r\n.", b"\r\n")[2:]
            del data
            refused = refusal(mail)
            if refused is None:
                envelope.content = mail
                del mail
                self.storing = True
                try:
                    refused = await self.event_handler.handle_DATA(self, self.session, envelope)
                finally:
                    self.storing = False
                if refused.startswith("2"):
                    self._replies = 0
            await self.push(refused)

    async def _read_data(self) -> bytes | None:
        """All data with its end, after a CRLF of our own, so that every line follows one.

        None if it is far too much: it is read to its end all the same (RFC 5321, 4.2.5).
        """
        self._reader._buffer[:0] = b"\r\n"  # type: ignore[attr-defined]
        parts: list[bytes] = []
        size, ended = 0, False
        try:
            while not ended:
                try:
                    part, ended = await self._reader.readuntil(_END), True
                except asyncio.LimitOverrunError as error:
                    part = await self._reader.read(error.consumed)
                self.gate.took(self, size, len(part))  # who hangs up doesn't get it for nothing
                size += len(part)
                parts.append(part)
                if size > _MOST_DATA:
                    parts.clear()
            return b"".join(parts) if size <= _MOST_DATA else None
        finally:
            parts.clear()  # of a broken connection the frames, with all in them, stay for a while
