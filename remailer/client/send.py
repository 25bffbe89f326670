"""Hand a finished mail to the sender's own mail host, over SMTP submission."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiosmtplib

from remailer.client.submission import Submission
from remailer.errors import RemailerError
from remailer.outgoing import message_id

SECONDS = 30.0
"""How long each step of the submission may take."""


class SendError(RemailerError):
    """The mail host can't be reached or doesn't take the mail."""


@dataclass(frozen=True)
class Server:
    """A submission server (RFC 6409).

    The password stands in a file, on its one line: a command line can be read by others.
    `starttls` None takes STARTTLS where it is offered, True demands it, False does without.
    """

    host: str
    port: int = 587
    user: str | None = None
    password_file: Path | None = None
    starttls: bool | None = None

    def password(self) -> str | None:
        """The password, if a file is named. Raises SendError."""
        if self.password_file is None:
            return None
        try:
            return self.password_file.read_text().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not text"
            raise SendError(f"password file {self.password_file}: {reason}") from None


async def submit(server: Server, sender: str, submission: Submission) -> str:
    """Submit a message from `sender`; gives the mail's Message-ID. Raises SendError, ChainError."""
    identity = message_id(sender, random.SystemRandom())
    mail = submission.mail(sender, datetime.now(UTC), identity)
    where = f"{server.host}:{server.port}"
    try:
        await aiosmtplib.send(
            mail,
            sender=sender,
            recipients=[submission.recipient],
            hostname=server.host,
            port=server.port,
            username=server.user,
            password=server.password(),
            start_tls=server.starttls,
            mail_options=[] if mail.isascii() else ["BODY=8BITMIME"],
            timeout=SECONDS,
        )
    except aiosmtplib.SMTPResponseException as error:
        said = " ".join(error.message.split())
        raise SendError(f"{where} refused the mail: {error.code} {said}") from None
    except aiosmtplib.SMTPRecipientsRefused as error:
        first = error.recipients[0]
        said = " ".join(first.message.split())
        raise SendError(f"{where} refused {first.recipient}: {first.code} {said}") from None
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        raise SendError(f"{where}: {' '.join(str(error).split())}") from None
    return identity
