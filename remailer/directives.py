"""The blocks at the top of a message: directives (`::`) and lines for the outgoing header (`##`).

Pure functions over bytes whose lines end in CRLF (outgoing.canonical). Each reads one block from
the top of a text and gives what it said and the rest; none of them decides what is done about it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from remailer.errors import Dropped
from remailer.outgoing import MAX_LINE

RECIPIENT = frozenset({"anon-to", "request-remailing-to", "remail-to", "anon-send-to"})
"""Directives that name recipients: the field's, and the 1993 name."""

ACTING = RECIPIENT | {"encrypted", "null"}
"""Directives that decide where a message goes."""

KNOWN = ACTING | {
    *("latent-time", "cutmarks", "inflate", "max-size", "max-date", "max-count", "rand-hop"),
    *("encrypt-key", "encrypt-3des", "encrypt-cast", "encrypt-subject", "hash-subject"),
    *("encrypt-des", "encrypt-cast5", "encrypt-idea", "maxsize", "maxdate", "maxcount"),
    *("test-to", "remix-to", "encrypt-to", "anon-post-to"),
}
"""Names by which a decrypted text's first lines are known for directives without `::`."""

# What tells of a path, or is this remailer's to write.
_NOT_TAKEN = frozenset(
    (
        *("received", "sender", "return-path", "x-loop", "from", "to", "cc", "bcc", "date"),
        *("message-id", "delivered-to", "x-original-to", "errors-to"),
    )
)
_NOT_TAKEN_PREFIXES = ("resent-", "dkim-", "arc-")

MAX_LINES = 1000
"""Lines of a block that are read one by one: directives that mean something, or `##` lines."""

_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:(.*)", re.DOTALL)
_MESSAGE_ID = re.compile(rb"<[^<>\s]+>[ \t]*")
_THREADED = ("in-reply-to", "references")
_THREAD = re.compile(rb"(?:%s)[ \t]*:" % "|".join(_THREADED).encode(), re.IGNORECASE)
_LINES_OF_NOBODY = re.compile(
    # Lines of fields that mean nothing here, by the ten thousand if they are padding: all at once.
    rb"(?:(?!(?:%s)[ \t]*:)[!-9;-~]+[ \t]*:[^\r\n]*+\r\n(?:[ \t](?=[^\r\n]*\S)[^\r\n]*+\r\n)*+)++"
    % b"|".join(sorted(re.escape(name.encode()) for name in (*KNOWN, *_THREADED))),
    re.IGNORECASE,
)
_NO_LINES = re.compile(rb"(?!)")
_BLANK_LINES = re.compile(rb"(?:[ \t]*\r\n)*")
_PRINTABLE = re.compile(rb"[\t -~]*")


@dataclass(frozen=True)
class Field:
    """One directive or header: name in lower case, value on one line, its lines as they came.

    Bytes above 127 are in the value as surrogate escapes.
    """

    name: str
    value: str
    lines: tuple[bytes, ...]


def after_blank_lines(text: bytes) -> bytes:
    """The text from its first line on that isn't blank."""
    blank = _BLANK_LINES.match(text)
    return text[blank.end() :] if blank else text


def pasted(text: bytes) -> tuple[list[Field], bytes] | None:
    """A `::` block's known directives and what follows it; None if there is none at the top.

    Raises Dropped for more than MAX_LINES lines of them.
    """
    return _marked(text, b"::", _LINES_OF_NOBODY)


def bare(text: bytes) -> tuple[list[Field], bytes] | None:
    """Directives without `::`, as a decrypted text may begin with; None if none is known.

    Raises Dropped as `pasted` does.
    """
    fields, rest = _block(after_blank_lines(text), _LINES_OF_NOBODY)
    return (fields, rest) if any(field.name in KNOWN for field in fields) else None


def hashed(text: bytes) -> tuple[list[Field], bytes] | None:
    """A `##` block's header lines and what follows it; None if the text doesn't begin with one.

    Raises Dropped for more than MAX_LINES lines.
    """
    return _marked(text, b"##", _NO_LINES)


def outgoing_headers(fields: Iterable[Field]) -> list[bytes]:
    """The lines of those fields that an outgoing mail may carry: the first of each name.

    Left out are names of a path or of this remailer's own lines, and values that aren't printable
    ASCII or have a line over 998 bytes.
    """
    taken: dict[str, tuple[bytes, ...]] = {}
    for field in fields:
        refused = field.name in _NOT_TAKEN or field.name.startswith(_NOT_TAKEN_PREFIXES)
        sound = all(_PRINTABLE.fullmatch(line) and len(line) <= MAX_LINE for line in field.lines)
        if sound and not refused:
            taken.setdefault(field.name, field.lines)
    return [line for lines in taken.values() for line in lines]


def _marked(
    text: bytes, mark: bytes, passed_over: re.Pattern[bytes]
) -> tuple[list[Field], bytes] | None:
    text = after_blank_lines(text)
    line, after = _line(text, 0)
    return _block(text[after:], passed_over) if line.rstrip() == mark else None


def _block(text: bytes, passed_over: re.Pattern[bytes]) -> tuple[list[Field], bytes]:
    """Fields up to a blank line, which is taken too, or up to the first line that isn't one."""
    found: list[list[bytes]] = []
    at = read = 0
    while at < len(text):
        if lines := passed_over.match(text, at):
            at = lines.end()
            continue
        line, after = _line(text, at)
        if not line.strip():
            at = after
            break
        if line[:1] in (b" ", b"\t") and found:
            found[-1].append(line)
        elif _FIELD.fullmatch(line):
            found.append([line])
        elif found and _THREAD.match(found[-1][0]) and _MESSAGE_ID.fullmatch(line):
            # Broken by hand, without the blank: Mixmaster's help text itself does it.
            found[-1].append(b" " + line)
        else:
            break
        at = after
        read += 1
        if read > MAX_LINES:
            raise Dropped("too many directives")
    return [_field(lines) for lines in found], text[at:]


def _field(lines: list[bytes]) -> Field:
    match = _FIELD.fullmatch(b"".join(lines))
    assert match is not None, "a field's first line has its name and colon"
    value = match[2].decode("ascii", "surrogateescape").strip()
    return Field(match[1].decode().lower(), value, tuple(lines))


def _line(text: bytes, at: int) -> tuple[bytes, int]:
    """The line at an offset, without CRLF, and the offset of the next."""
    end = text.find(b"\r\n", at)
    return (text[at:], len(text)) if end < 0 else (text[at:end], end + 2)
