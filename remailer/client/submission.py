"""What a sender gives his mail host: a message for the first remailer, and the mail around it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from remailer.errors import ChainError
from remailer.outgoing import MAX_LINE, MAX_MAIL, canonical, is_address

EIGHT_BIT = (
    "MIME-Version: 1.0",
    "Content-Type: text/plain; charset=utf-8",
    "Content-Transfer-Encoding: 8bit",
)
"""Header lines for a text that isn't all ASCII."""


@dataclass(frozen=True)
class Submission:
    """A message for the remailer at `recipient`; CRLF, ASCII unless an answer's text isn't."""

    recipient: str
    body: bytes

    def __post_init__(self) -> None:
        """Raises ChainError if it is more than any mail may be."""
        _judge(len(self.body))

    def mail(self, sender: str, now: datetime, message_id: str) -> bytes:
        """The complete mail (RFC 5322) from `sender`; `message_id` is without its brackets.

        Raises ChainError if the sender isn't a plain address, or the mail is more than MAX_MAIL.
        """
        if not is_address(sender):
            raise ChainError(f"sender {sender!r}: not an address like alice@example.org")
        lines = [
            f"From: {sender}",
            f"To: {self.recipient}",
            f"Date: {format_datetime(now.astimezone(UTC))}",
            f"Message-ID: <{message_id}>",
            *(() if self.body.isascii() else EIGHT_BIT),
        ]
        mail = "\r\n".join([*lines, "", ""]).encode() + self.body
        _judge(len(mail))
        return mail


def _judge(size: int) -> None:
    if size > MAX_MAIL:
        raise ChainError(
            f"the mail would have {size} bytes and a remailer takes {MAX_MAIL}: each hop adds "
            "about 38 %, padding up to twice the text; send less, over fewer hops, or --no-pad"
        )


def text_lines(body: bytes) -> bytes:
    """A body as it will arrive: CRLF line ends, the last line ended too.

    Raises ChainError for what no mail host would carry unchanged: NUL, a CR that isn't part of a
    CRLF, a line over 998 bytes.
    """
    if b"\0" in body:
        raise ChainError("body: it has a NUL byte and isn't text; encode it (MIME, base64)")
    if b"\r" in body.replace(b"\r\n", b""):
        raise ChainError("body: it has a lone CR; line ends are LF or CRLF")
    body = canonical(body)
    longest = max(map(len, body.split(b"\r\n")))
    if longest > MAX_LINE:
        raise ChainError(f"body: a line has {longest} bytes and mail carries {MAX_LINE}; wrap it")
    return body if body.endswith(b"\r\n") or not body else body + b"\r\n"


def is_utf8(text: bytes) -> bool:
    """Whether it can be said to be UTF-8."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
