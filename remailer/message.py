"""What a mail asks of a remailer: any bytes become outgoing mails or Dropped, never anything else.

A message is read in rounds. Directives stand in the mail's own header or in `::` blocks at the top
of its body. `Encrypted: PGP` replaces the text by what its first PGP message opens to, with all
that stood after the armour appended unchanged (which is what makes reply blocks work), and the next
round reads that. Without it, a `##` block gives header lines, and what is left is the body.
docs/messages.md has the rules as a user sees them. Nothing here does I/O: the key is a callable,
the date and the random source are passed in.
"""

from __future__ import annotations

import email
import email.message
import email.policy
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

from remailer import directives, outgoing
from remailer.directives import Field
from remailer.errors import Dropped
from remailer.outgoing import MAX_MAIL, Outgoing

__all__ = ["MAX_LAYERS", "MAX_MAIL", "MAX_RECIPIENTS", "Outgoing", "read"]

MAX_LAYERS = 20
"""PGP messages that are opened in one mail, one inside the other."""

MAX_BLOCKS = 20
"""`::` blocks that are obeyed in one round: each costs a copy of all that follows it."""

MAX_RECIPIENTS = 5
"""Recipients of one message: the field's usual maximum."""

MAX_MIME_FIELD = 4096
"""Bytes of a Content-... header field, in the mail's header or a part's."""

_BEGIN = re.compile(rb"^(?:- )?-----BEGIN PGP MESSAGE-----[ \t]*\r\n", re.MULTILINE)
_END = re.compile(rb"^(?:- )?-----END PGP MESSAGE-----[ \t]*(?:\r\n|\Z)", re.MULTILINE)
_MIME_FIELD = re.compile(rb"^Content-[^\n]*(?:\n[ \t][^\n]*)*", re.MULTILINE | re.IGNORECASE)
_TOKEN = re.compile(r"[A-Za-z0-9._:+-]{1,40}")
_STUFFED = re.compile(rb"^ ", re.MULTILINE)

Decrypt = Callable[[bytes], bytes]
"""Opens one armoured PGP message, or raises Dropped."""


@dataclass
class _Request:
    """What the directives of one round have said so far."""

    recipients: dict[str, None] = field(default_factory=dict)
    """In order of their naming, each once."""
    null: bool = False
    encrypted: bool = False
    """The text is to be decrypted."""
    directed: bool = False
    """A recipient is named: what follows for a remailer is for the next one."""

    def take(self, fields: list[Field]) -> None:
        for said in fields:
            if said.name in directives.RECIPIENT:
                self.directed = True
                self.recipients |= dict.fromkeys(
                    a for a in map(str.strip, said.value.split(",")) if a
                )
            elif said.name == "encrypted":
                self.encrypted |= said.value.upper() == "PGP"
            elif said.name == "null":
                self.null = True


def read(
    raw: bytes, *, me: str, decrypt: Decrypt, today: date, rng: random.Random
) -> tuple[Outgoing, ...]:
    """Peel one mail that came to the remailer with the address `me`.

    Gives one Outgoing a recipient, () for cover traffic (`Null:`). Raises Dropped for all else.
    """
    _limit(raw)
    header, text, clear_headers = _open_mail(raw)
    if any(me.lower() in value.lower() for name, value in header if name == "x-loop"):
        raise Dropped("loop")
    request = _Request()
    request.take([Field(name, value, ()) for name, value in header])
    text = _pasted_blocks(text, request)
    for _ in range(MAX_LAYERS):
        if not request.encrypted:
            break
        # Nothing said outside the armour holds inside: a recipient named there would be sent what
        # the armour hides, and whoever has a message could have it opened for him.
        clear_headers, request = [], _Request()
        text = _limit(outgoing.canonical(_peel_layer(text, decrypt)))
        if (found := directives.bare(text)) is not None:
            request.take(found[0])
            text = found[1]
        text = _pasted_blocks(text, request)
    if request.encrypted:
        raise Dropped("too many layers")
    if request.null:
        return ()
    recipients = _judged(request.recipients, me)
    hashed = directives.hashed(text)
    fields, body = hashed if hashed is not None else ([], text)
    headers, body = directives.outgoing_headers([*fields, *clear_headers]), outgoing.fit(body)
    return tuple(
        outgoing.write(recipient, headers, body, me=me, today=today, rng=rng)
        for recipient in recipients
    )


def _limit(text: bytes) -> bytes:
    if len(text) > MAX_MAIL:
        raise Dropped("too large")
    return text


def _pasted_blocks(text: bytes, request: _Request) -> bytes:
    """Obey the `::` blocks at the top; give what follows them.

    Once a recipient is named, a further block that says where to go, or that what follows is
    encrypted, is the next remailer's: that is how a chain is nested.
    """
    blocks = 0
    while not request.encrypted and (found := directives.pasted(text)) is not None:
        fields, rest = found
        if request.directed and any(said.name in directives.ACTING for said in fields):
            break
        blocks += 1
        if blocks > MAX_BLOCKS:
            raise Dropped("too many blocks")
        request.take(fields)
        text = rest
    return text


def _peel_layer(text: bytes, decrypt: Decrypt) -> bytes:
    """Open the first PGP message of a text; what stood after its armour is appended, unchanged."""
    begin = _BEGIN.search(text)
    end = _END.search(text, begin.end()) if begin else None
    if begin is None or end is None:
        raise Dropped("no PGP message")
    # Mail programs leave blanks at line ends and clear signatures put "- " before dashes.
    lines = (line.rstrip() for line in text[begin.start() : end.end()].split(b"\r\n"))
    armour = b"\n".join(line.removeprefix(b"- ") for line in lines)
    return decrypt(armour) + text[end.end() :]


def _judged(recipients: dict[str, None], me: str) -> list[str]:
    """The recipients, if they are ones a mail may go to; else Dropped."""
    if not 0 < len(recipients) <= MAX_RECIPIENTS:
        raise Dropped("recipients")
    for address in recipients:
        if not outgoing.is_address(address):
            raise Dropped("address")
        if outgoing.domain_of(address) == outgoing.domain_of(me):
            raise Dropped("loop")
    return list(recipients)


def _open_mail(raw: bytes) -> tuple[list[tuple[str, str]], bytes, list[Field]]:
    """A mail's header (names in lower case), its text, and what it keeps of it if in clear."""
    # The email package takes quadratic time for a field's parameters.
    if any(len(found[0]) > MAX_MIME_FIELD for found in _MIME_FIELD.finditer(raw)):
        raise Dropped("MIME")
    try:
        mail = email.message_from_bytes(raw, policy=email.policy.compat32)
        header = [(name.lower(), _unfolded(value)) for name, value in mail.raw_items()]
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
    kept = [("Subject", value) for name, value in header if name == "subject"]
    if typed and isinstance(charset, str) and _TOKEN.fullmatch(charset):
        kept += [
            ("MIME-Version", "1.0"),
            ("Content-Type", f"text/plain; charset={charset}"),
            ("Content-Transfer-Encoding", "8bit"),
        ]
    text = outgoing.canonical(payload)
    if flowed:  # one blank at a line's start is the mail program's (RFC 3676, 4.4)
        text = _STUFFED.sub(b"", text)
    return header, text, [_line_of(name, value) for name, value in kept]


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
