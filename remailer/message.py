"""What a mail asks of a remailer: any bytes become outgoing mails or Dropped, never anything else.

A message is read in rounds. Directives stand in the mail's own header or in `::` blocks at the top
of its body. `Encrypted: PGP` replaces the text by what its first PGP message opens to, with all
that stood after the armour appended unchanged (which is what makes reply blocks work), and the next
round reads that. Without it, a `##` block gives header lines, and what is left is the body.
`Cutmarks` cuts off pieces that are read as messages of their own; the limits hold for all of them
together. docs/messages.md has the rules as a user sees them. Nothing here does I/O: OpenPGP is two
callables, the time and the random source are passed in.
"""

from __future__ import annotations

import random
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from remailer import (
    answers,
    cutmarks,
    directives,
    encrypt_key,
    inflate,
    latent,
    limits,
    mime,
    outgoing,
)
from remailer.directives import Field
from remailer.encrypt_key import Encrypt
from remailer.errors import Dropped
from remailer.openpgp import Opened
from remailer.orders import Orders
from remailer.outgoing import MAX_MAIL, Outgoing
from remailer.rules import (
    GROWTH_FREE,
    MAX_BLOCKS,
    MAX_GROWTH,
    MAX_LAYERS,
    MAX_OPENED,
    MAX_OUTGOING,
    MAX_PARTS,
    MAX_RECIPIENTS,
    PLAIN,
    Rules,
)

__all__ = ["MAX_LAYERS", "MAX_MAIL", "MAX_OUTGOING", "MAX_RECIPIENTS", "Outgoing", "read"]

_BEGIN = re.compile(rb"^(?:- )?-----BEGIN PGP MESSAGE-----[ \t]*\r\n", re.MULTILINE)
_END = re.compile(rb"^(?:- )?-----END PGP MESSAGE-----[ \t]*(?:\r\n|\Z)", re.MULTILINE)

Decrypt = Callable[[bytes], Opened]
"""Opens one armoured PGP message, or raises Dropped."""


class _TooMuch(Dropped):
    """More than one mail may ask for: all of it is dropped, not only the part that goes too far."""


@dataclass
class _Part:
    """One message of a mail, as far as it is read."""

    text: bytes
    orders: Orders = field(default_factory=Orders)
    kept: tuple[Field, ...] = ()
    """Header lines of a mail that came in clear."""
    digest: bytes = b""
    """Of the PGP message that was opened last; empty: none was."""
    bare: bool = True
    """Directives may stand at its top without `::`."""
    latent: str = ""
    """What earlier rounds said of `Latent-Time`."""


def read(
    raw: bytes,
    *,
    me: str,
    decrypt: Decrypt,
    encrypt: Encrypt,
    now: datetime,
    rng: random.Random,
    rules: Rules = PLAIN,
) -> tuple[Outgoing, ...]:
    """Peel one mail that came to the remailer with the address `me`, at the time `now` (UTC).

    Gives one Outgoing a recipient, or the answer to a request; () for cover traffic (`Null:`).
    Raises Dropped for all else.
    """
    letter = mime.open_mail(_limit(raw))
    if any(me.lower() in value.lower() for value in letter.all("x-loop")):
        raise Dropped("loop")
    if any(map(rules.blocked.source, answers.authors(letter))):
        raise Dropped("blocked")
    if rules.name and answers.asked(letter):
        return (answers.answer(letter, me, rules, now.date(), rng),)
    orders = Orders()
    orders.take(letter.header)
    most = MAX_RECIPIENTS * min(MAX_MAIL, max(MAX_GROWTH * len(raw), GROWTH_FREE))
    reading = _Reading(me, decrypt, encrypt, now, rng, rules, most)
    reading.parts.append(_Part(letter.text, orders, letter.kept, bare=False))
    return reading.all()


def _limit(text: bytes) -> bytes:
    if len(text) > MAX_MAIL:
        raise Dropped("too large")
    return text


@dataclass
class _Reading:
    """One mail being read: the messages in it that wait, and what it may still ask for."""

    me: str
    decrypt: Decrypt
    encrypt: Encrypt
    now: datetime
    rng: random.Random
    rules: Rules
    most: int
    """Bytes of all that is made of it."""
    parts: deque[_Part] = field(default_factory=deque)
    layers: int = MAX_LAYERS
    room: int = MAX_OPENED
    cuts: int = MAX_PARTS - 1

    def all(self) -> tuple[Outgoing, ...]:
        """What all parts become; Dropped if each of them is."""
        made: list[Outgoing] = []
        dropped: Dropped | None = None
        kept = False
        while self.parts:
            try:
                made += self._read(self.parts.popleft())
                kept = True
            except _TooMuch:
                raise
            except Dropped as error:
                dropped = error
        if dropped and not kept:
            raise dropped
        size = sum(len(one.mail) for one in made)
        if len(made) > MAX_OUTGOING or size > self.most:
            raise _TooMuch("too many mails")
        return tuple(made)

    def _read(self, part: _Part) -> list[Outgoing]:
        self._round(part)
        while part.orders.encrypted:
            self._open(part)
            self._round(part)
        orders = part.orders
        if orders.null:
            return []
        if self.rules.pgponly and not part.digest:
            raise Dropped("not encrypted")
        judged = _judged(orders.recipients, self.me)
        recipients = [one for one in judged if not self.rules.blocked.destination(one)]
        if not recipients:
            raise Dropped("blocked")
        return self._written(part, recipients)

    def _round(self, part: _Part) -> None:
        """Obey the directives at the top of a text, and cut off what is a message of its own."""
        if part.bare and (found := directives.bare(part.text)) is not None:
            part.orders.take(found[0])
            part.text = found[1]
        part.text = _pasted_blocks(part.text, part.orders)
        if mark := part.orders.bytes_of("cutmarks"):
            part.text, *pieces = cutmarks.cut(part.text, mark, self.cuts + 1)
            self.cuts -= len(pieces)
            if self.cuts < 0:
                raise _TooMuch("too many parts")
            self.parts.extend(_Part(piece, digest=part.digest) for piece in pieces)

    def _open(self, part: _Part) -> None:
        """Put what the text's PGP message opens to in its place.

        Nothing said outside the armour holds inside, but for how long the message is to wait: a
        recipient named there would be sent what the armour hides, and whoever has a message could
        have it opened for him.
        """
        if not self.layers:
            raise _TooMuch("too many layers")
        self.layers -= 1
        opened, tail = _peel_layer(part.text, self.decrypt)
        self.room -= len(opened.text)
        if self.room < 0:
            raise _TooMuch("too large")
        part.text = _limit(outgoing.canonical(opened.text + tail))
        part.digest, part.kept, part.bare = opened.digest, (), True
        part.latent = part.orders.said.get("latent-time", part.latent)
        part.orders = Orders()

    def _written(self, part: _Part, recipients: list[str]) -> list[Outgoing]:
        said, text = part.orders.said, part.text
        if "max-size" in said:
            limits.check_size(said["max-size"], len(text))
        if "max-date" in said:
            limits.check_date(said["max-date"], self.now)
        use = limits.use(said["max-count"], part.digest) if "max-count" in said else None
        wait = latent.seconds(said.get("latent-time", part.latent), self.now, self.rng)
        hashed = directives.hashed(text)
        fields, body = hashed if hashed is not None else ([], text)
        headers = directives.outgoing_headers([*fields, *part.kept])
        body += inflate.garbage(said.get("inflate", ""), self.rng)
        if phrase := part.orders.bytes_of("encrypt-key"):
            body = encrypt_key.conceal(body, phrase, self.encrypt)
        body = outgoing.fit(body)
        # The day on which it leaves: that on which it came would tell how long it waited.
        day = (self.now + timedelta(seconds=wait)).date()
        made = (
            outgoing.write(recipient, headers, body, me=self.me, today=day, rng=self.rng)
            for recipient in recipients
        )
        return [replace(one, latent=wait, use=use) for one in made]


def _pasted_blocks(text: bytes, orders: Orders) -> bytes:
    """Obey the `::` blocks at the top; give what follows them.

    Once a recipient is named, a further block that says where to go, or that what follows is
    encrypted, is the next remailer's: that is how a chain is nested.
    """
    blocks = 0
    while not orders.encrypted and (found := directives.pasted(text)) is not None:
        fields, rest = found
        if orders.directed and any(said.name in directives.ACTING for said in fields):
            break
        blocks += 1
        if blocks > MAX_BLOCKS:
            raise Dropped("too many blocks")
        orders.take(fields)
        text = rest
    return text


def _peel_layer(text: bytes, decrypt: Decrypt) -> tuple[Opened, bytes]:
    """Open the first PGP message of a text; what it opened to, and what stood after its armour."""
    begin = _BEGIN.search(text)
    end = _END.search(text, begin.end()) if begin else None
    if begin is None or end is None:
        raise Dropped("no PGP message")
    # Mail programs leave blanks at line ends and clear signatures put "- " before dashes.
    lines = (line.rstrip() for line in text[begin.start() : end.end()].split(b"\r\n"))
    armour = b"\n".join(line.removeprefix(b"- ") for line in lines)
    return decrypt(armour), text[end.end() :]


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
