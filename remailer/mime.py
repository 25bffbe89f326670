"""Opening a mail: its header, and its text out of whatever MIME it came in.

Directives are read in the text of the first `text/plain` part, decoded: mail programs send long
lines as quoted-printable or base64, and format=flowed puts blanks before lines. Nothing here does
I/O, and whatever is wrong with a mail is Dropped.
"""

from __future__ import annotations

import email
import email.message
import email.policy
import re
from dataclasses import dataclass

from remailer.directives import Field
from remailer.errors import Dropped
from remailer.outgoing import canonical

MAX_MIME_FIELD = 4096
"""Bytes of a Content-... header field, in the mail's header or a part's."""

MAX_MULTIPARTS = 10
"""Multiparts, one in the other or not: each line of a text is held against the boundary of each."""

# A lone CR ends a line for the email package, too.
_MIME_FIELD = re.compile(
    rb"(?<![^\r\n])Content-[^\r\n]*(?:(?:\r\n?|\n)[ \t][^\r\n]*)*", re.IGNORECASE
)
_TOKEN = re.compile(r"[A-Za-z0-9._:+-]{1,40}")
_STUFFED = re.compile(rb"^ ", re.MULTILINE)


@dataclass(frozen=True)
class Letter:
    """A mail that was opened."""

    header: tuple[Field, ...]
    """Its own header: names in lower case, values on one line."""
    text: bytes
    """Canonical."""
    kept: tuple[Field, ...]
    """What goes on of its header if it came in clear: Subject and charset."""
    flowed: bool
    """Whether blanks at its lines' ends are a mail program's (RFC 3676)."""

    def all(self, name: str) -> list[str]:
        """The values of all header fields of a name, in lower case."""
        return [field.value for field in self.header if field.name == name]


def check(raw: bytes) -> None:
    """Raises Dropped if a mail can't be read in linear time.

    The email package takes quadratic time for a field's parameters, and for nested parts.
    """
    multiparts = 0
    for found in _MIME_FIELD.finditer(raw):
        multiparts += b"multipart/" in found[0].lower()
        if len(found[0]) > MAX_MIME_FIELD or multiparts > MAX_MULTIPARTS:
            raise Dropped("MIME")


def open_mail(raw: bytes) -> Letter:
    """Open a mail. Raises Dropped if it has no plain text, or can't be read in linear time."""
    check(raw)
    try:
        mail = email.message_from_bytes(raw, policy=email.policy.compat32)
        header = tuple(
            Field(name.lower(), _unfolded(value), ()) for name, value in mail.raw_items()
        )
        part = _text_part(mail)
        payload = part.get_payload(decode=True)
        charset = part.get_param("charset", "us-ascii")
        typed = "content-type" in part
        flowed = str(part.get_param("format")).lower() == "flowed"
    except (
        Exception
    ):  # the email package has no one error for hostile MIME: LookupError, RecursionError...
        raise Dropped("MIME") from None
    if not isinstance(payload, bytes):
        raise Dropped("MIME")
    kept = [("Subject", field.value) for field in header if field.name == "subject"]
    if typed and isinstance(charset, str) and _TOKEN.fullmatch(charset):
        kept += [
            ("MIME-Version", "1.0"),
            ("Content-Type", f"text/plain; charset={charset}"),
            ("Content-Transfer-Encoding", "8bit"),
        ]
    text = canonical(payload)
    if flowed:  # one blank at a line's start is the mail program's (RFC 3676, 4.4)
        text = _STUFFED.sub(b"", text)
    return Letter(header, text, tuple(_line_of(name, value) for name, value in kept), flowed)


def _text_part(mail: email.message.Message) -> email.message.Message:
    for part in mail.walk():
        if part.get_content_type() == "text/plain" and not part.is_multipart():
            return part
    raise Dropped("no text")


def _unfolded(value: str) -> str:
    return re.sub(r"[\r\n]+(?=[ \t])|[\r\n]+\Z", "", str(value)).strip()


def _line_of(name: str, value: str) -> Field:
    line = f"{name}: {value}".encode("ascii", "surrogateescape")
    return Field(name.lower(), value, (line,))
