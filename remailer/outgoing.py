"""What leaves a remailer: one complete mail a recipient, carrying only what the message asks for.

No Received, no original Date, Message-ID or mailer name: the Date is coarsened to the day, the
Message-ID is random and made here, once. Nothing here does I/O; the date and the random source are
passed in.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from email.utils import format_datetime

from remailer.errors import Dropped
from remailer.limits import Use

MAX_MAIL = 4 * 1024 * 1024
"""Bytes of the largest mail that is taken, peeled or sent."""

MAX_LINE = 998
"""Bytes of the longest line, its CRLF not counted (RFC 5321 section 4.5.3.1.6)."""

MAX_ADDRESS = 254
"""Bytes of the longest address (RFC 5321 section 4.5.3.1.3: a path is 256 with its brackets)."""

# RFC 5322's dot-atom without `!` and `%`, which are routes to old mail hosts; a domain of two
# labels or more.
_ATOM = r"[A-Za-z0-9#$&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"(?=[^@]{{1,64}}@){_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})+")


@dataclass(frozen=True)
class Outgoing:
    """One mail for one recipient: RFC 5322, CRLF, at most MAX_MAIL bytes, Message-ID inside."""

    recipient: str
    mail: bytes
    latent: float = 0.0
    """Seconds that it is to wait, on top of what the pool makes it wait."""
    use: Use | None = None
    """What has to be counted before it may go."""
    answer: bool = False
    """It answers a request: of these a node sends only so many."""


def is_address(text: str) -> bool:
    """Whether it is one plain addr-spec: ASCII, no display name, quotes, route or literal."""
    return len(text) <= MAX_ADDRESS and _ADDRESS.fullmatch(text) is not None


def domain_of(address: str) -> str:
    """An address's domain, lower case."""
    return address.rpartition("@")[2].lower()


def canonical(text: bytes) -> bytes:
    """The same lines, each ended by CRLF: a lone LF or a lone CR is a line's end too."""
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")


def fit(body: bytes) -> bytes:
    """A canonical body as mail can carry it: lines over 998 bytes broken, the last one ended."""
    lines = body.split(b"\r\n")
    if lines[-1]:
        lines.append(b"")
    if max(map(len, lines)) > MAX_LINE:
        starts = ((line, range(0, len(line) or 1, MAX_LINE)) for line in lines)
        lines = [line[start : start + MAX_LINE] for line, all_of in starts for start in all_of]
    return b"\r\n".join(lines)


def message_id(address: str, rng: random.Random) -> str:
    """A Message-ID without its brackets: 128 random bits at the address's domain."""
    return f"{rng.getrandbits(128):032x}@{domain_of(address)}"


def write(
    recipient: str,
    headers: Iterable[bytes],
    body: bytes,
    *,
    me: str,
    today: date,
    rng: random.Random,
) -> Outgoing:
    """The mail to one recipient.

    `headers` are whole lines without CRLF (a folded one is several), already judged; `body` is
    canonical and fit. Raises Dropped for NUL and for more than MAX_MAIL bytes.
    """
    midnight = datetime.combine(today, time(), tzinfo=UTC)
    own = (
        f"From: Anonymous <{me}>",
        f"To: {recipient}",
        f"Date: {format_datetime(midnight)}",
        f"Message-ID: <{message_id(me, rng)}>",
    )
    mail = b"\r\n".join([*(line.encode() for line in own), *headers, b"", body])
    if b"\0" in mail:
        raise Dropped("NUL")
    if len(mail) > MAX_MAIL:
        raise Dropped("too large")
    return Outgoing(recipient, mail)
