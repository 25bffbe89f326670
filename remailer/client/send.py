"""Hand a finished mail to the sender's own mail host, over SMTP submission."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import aiosmtplib

from remailer.client.submission import Submission
from remailer.errors import RemailerError
from remailer.outgoing import message_id

SUBMISSIONS = 465
SECONDS = 30.0
"""How long each step of the submission may take."""


class SendError(RemailerError):
    """The mail host can't be reached or doesn't take the mail."""


@dataclass(frozen=True)
class Server:
    """A submission server (RFC 6409).

    The password stands in a file, on its one line: a command line can be read by others.
    """

    host: str
    port: int = 587
    user: str | None = None
    password_file: Path | None = None

    @property
    def tls(self) -> bool:
        """Whether it is TLS from the first byte on (RFC 8314)."""
        return self.port == SUBMISSIONS

    @property
    def starttls(self) -> bool | None:
        """Demanded where a password goes to another machine, else taken where it is offered."""
        if self.tls:
            return False
        return True if self.user and not _here(self.host) else None

    def password(self) -> str | None:
        """The password, if a file is named. Raises SendError."""
        if self.password_file is None:
            return None
        try:
            return self.password_file.read_text().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not text"
            raise SendError(f"password file {self.password_file}: {reason}") from None


def _here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


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
            use_tls=server.tls,
            start_tls=server.starttls,
            local_hostname="[127.0.0.1]",  # the machine's own name is nobody's business
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
