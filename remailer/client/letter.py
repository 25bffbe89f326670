"""What of a mail program's mail goes on its way: the subject and the text, and nothing else.

Everything that tells of its writer stays behind: names, dates, Message-IDs, threads, the mail
program's header lines, its MIME and its charset (all becomes UTF-8). A mail that would lose
something by it, an attachment or a signature, is refused and not cut. Nothing here does I/O.
"""

from __future__ import annotations

import codecs
import email
import email.policy
import re
from dataclasses import dataclass
from email.errors import MessageError
from email.header import decode_header, make_header

from remailer import mime
from remailer.errors import Dropped, RemailerError

_TEXT, _HTML = "text/plain", "text/html"
_AROUND = {"multipart/mixed", "multipart/alternative"}
"""MIME parts that may stand around a text."""
_WIDE = ("utf-16", "utf-32")
_SOFT = re.compile(rb"(?<! ) +(?=\r\n|\Z)")


class LetterError(RemailerError):
    """A mail that can't go on as text."""


@dataclass(frozen=True)
class Letter:
    """What is sent."""

    subject: str
    text: bytes
    """UTF-8."""


def read(mail: bytes) -> Letter:
    """The letter in a mail as a mail program submits it. Raises LetterError."""
    try:
        mime.check(mail)
        _only_text(mail)
        opened = mime.open_mail(mail)
    except Dropped:
        raise LetterError("the mail's text can't be read: send it as plain text") from None
    subjects = opened.all("subject")
    types = [field.value for field in opened.kept if field.name == "content-type"]
    charset = types[0].partition("charset=")[2].lower() if types else "us-ascii"
    if _name(charset).startswith(_WIDE):  # its line ends aren't those of mail
        raise LetterError(f"the text is {charset}: send it as UTF-8")
    # Blanks before flowed lines' ends are the mail program's (RFC 3676), and would tell of it.
    own = _SOFT.sub(b"", opened.text) if opened.flowed else opened.text
    try:
        # Programs that say nothing, or ASCII, and send more mean what is usual today.
        decoded = own.decode("utf-8" if charset == "us-ascii" else charset)
        text = decoded.encode()
    except (ValueError, LookupError):
        raise LetterError(f"the text isn't {charset}, as the mail says: send it as UTF-8") from None
    return Letter(_decoded(subjects[0]) if subjects else "", text)


def _name(charset: str) -> str:
    try:
        return codecs.lookup(charset).name
    except LookupError:
        return charset


def _only_text(mail: bytes) -> None:
    """Refuse what has more than a text, or a text and the same in HTML."""
    parts = list(email.message_from_bytes(mail, policy=email.policy.compat32).walk())
    around = {part.get_content_type() for part in parts if part.is_multipart()}
    inside = [part.get_content_type() for part in parts if not part.is_multipart()]
    twice = inside == [_TEXT, _HTML] and "multipart/alternative" in around
    if not around <= _AROUND or not (inside == [_TEXT] or twice):
        found = ", ".join(dict.fromkeys((*around - _AROUND, *inside)))
        raise LetterError(
            f"only plain text goes through remailers, and the mail has {found}: send it without "
            "HTML, attachments and signatures"
        )


def _decoded(subject: str) -> str:
    try:
        plain = subject.encode("ascii", "surrogateescape").decode()
        decoded = str(make_header(decode_header(plain))).encode().decode()
        return re.sub(r"[ \t]+", " ", decoded)  # where it was folded, and how, is the program's
    except (ValueError, LookupError, MessageError):
        raise LetterError("the Subject can't be read: write it anew") from None
