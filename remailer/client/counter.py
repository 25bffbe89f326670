"""The proxy's counter: SMTP for the user's own mail programs, which say where a mail shall go.

The rule: whatever can be known to go wrong is refused here, with what to do about it: after 250
nobody can be told any more. What becomes of what was said 250 to is known from the backlog.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from aiosmtpd.smtp import Envelope, Session

from remailer.errors import RemailerError, SpoolFull
from remailer.link.smtp import Outcome
from remailer.link.talk import Talk
from remailer.listener import Desk, Door
from remailer.message import MAX_RECIPIENTS
from remailer.outgoing import is_address

PATIENCE_SECONDS = 3600.0
"""With mail that waits and none handed over for so long, no more is taken: so the user learns."""
_MOST_SAID = 400
"""Characters of a reason: a reply has 512 at most (RFC 5321, 4.5.3.1.5)."""

Make = Callable[[bytes, Sequence[str]], Awaitable[bytes]]
"""Makes the message of a mail to these recipients. Raises RemailerError, with the reason."""
Leave = Callable[[bytes], Awaitable[None]]
"""Makes a message durable, to be sent. Raises SpoolFull."""


@dataclass
class Backlog:
    """What was taken and isn't handed over yet, and whether the first remailer takes it at all."""

    hop: str
    clock: Callable[[], float] = time.monotonic
    waiting: int = 0
    _since: float = 0.0
    _refused: bool = False

    def more(self, mails: int = 1) -> None:
        """So many more wait."""
        if not self.waiting:
            self._since = self.clock()
        self.waiting += mails

    def told(self, outcome: Outcome) -> None:
        """What the first remailer said to one of them."""
        if outcome is Outcome.DELIVERED:
            self.waiting -= 1
            self._since = self.clock()
        self._refused = bool(self.waiting) and (self._refused or outcome is Outcome.REFUSED)

    @property
    def trouble(self) -> str:
        """The reply to a user who had better know; empty: all is well."""
        if self._refused:
            return f"554 5.3.5 {self.hop} refuses a mail that waits here: is its version another?"
        if self.waiting and self.clock() - self._since > PATIENCE_SECONDS:
            return (
                f"451 4.4.1 {self.hop} has taken no mail for an hour; what waits is kept: is it "
                "down, or are you not its guest?"
            )
        return ""


@dataclass
class Turn:
    """A turn at the link: what the first remailer refuses isn't dropped, as nobody would know."""

    talk: Talk
    backlog: Backlog

    async def send(self, recipient: str, mail: bytes) -> Outcome:
        """Hand over one mail. Raises Unreachable when the line broke: then it may have arrived."""
        outcome = await self.talk.send(recipient, mail)
        self.backlog.told(outcome)
        return Outcome.DEFERRED if outcome is Outcome.REFUSED else outcome

    async def end(self) -> None:
        """Say that there is no more; never fails."""
        await self.talk.end()

    def close(self) -> None:
        """Hang up."""
        self.talk.close()


async def _nothing(mail: bytes) -> None:
    """What a desk does with mail for itself: there is none."""


@dataclass(frozen=True)
class Counter(Desk):
    """The handler that aiosmtpd asks."""

    domain: str = "localhost"
    accept: Callable[[bytes], Awaitable[None]] = _nothing
    strict: bool = True
    """A web page can have a browser say SMTP here, but not first."""
    make: Make = field(kw_only=True)
    leave: Leave = field(kw_only=True)
    backlog: Backlog = field(kw_only=True)

    async def handle_MAIL(
        self, door: Door, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Who it is is not kept."""
        if trouble := self.backlog.trouble:
            return trouble
        envelope.mail_from = "-"
        return "250 2.1.0 OK"

    async def handle_RCPT(
        self, door: Door, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Anybody with a plain address."""
        if not is_address(address):
            return "553 5.1.3 Not an address like bob@example.org"
        if len(envelope.rcpt_tos) >= MAX_RECIPIENTS:
            return f"452 4.5.3 Too many recipients: a message has {MAX_RECIPIENTS} at most"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, door: Door, session: Session, envelope: Envelope) -> str:
        """Say 250 when it is durable, and 5xx if no message can be made of it."""
        mail, envelope.content = envelope.content, None
        assert isinstance(mail, bytes)
        recipients = list(dict.fromkeys(envelope.rcpt_tos))
        try:
            # Who hangs up meanwhile will send it again; shielded is only what is being written.
            message = await self.make(mail, recipients)
            await asyncio.shield(asyncio.ensure_future(self.leave(message)))
        except SpoolFull:
            return "452 4.3.1 Insufficient system storage"
        except RemailerError as error:
            said = " ".join(str(error).split()).encode("ascii", "replace").decode()
            return f"554 5.6.0 {said[:_MOST_SAID]}"
        return "250 2.0.0 OK"
