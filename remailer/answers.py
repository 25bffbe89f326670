"""Requests by Subject (`remailer-help` and others), and who gets an answer (RFC 3834).

The answer goes to Reply-To, else From: the envelope sender isn't kept, though section 4 would
rather have that; a mail whose envelope names nobody is never answered (the listener sees to it).
Pure: the random source is passed in.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from remailer import outgoing
from remailer.errors import Dropped
from remailer.mime import Letter
from remailer.outgoing import MAX_MAIL, Outgoing, domain_of, is_address
from remailer.rules import MAX_LAYERS, MAX_OUTGOING, MAX_PARTS, MAX_RECIPIENTS, Rules, capabilities

A_DAY = 200
"""Answers that a node gives, to all together; counted in memory."""

REQUESTS = ("remailer-help", "remailer-key", "remailer-conf", "remailer-stats")
_SUBJECT = re.compile(rb"^subject:[\0- ]*remailer-(?:help|key|conf|stats)[\0- ]*$", re.I | re.M)
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,200}>")
_NOBODY = re.compile(r"mailer-daemon|postmaster|owner-.*|.*-(?:owner|request|bounces?)", re.I)
_AUTHORS = ("from", "sender")
_APART = re.compile(r"""[\s<>()",;:]+""")

_HELP = """\
This is a Type I ("cypherpunk") anonymous remailer. It keeps no logs.

Send it a mail whose first lines are

::
Anon-To: address

then a blank line and your text. The mail goes on without your name. Better: encrypt all of that to
this remailer's key (ask for it with the Subject remailer-key), and send

::
Encrypted: PGP

then a blank line and the PGP message. A chain of remailers is such messages one in the other.
Lines between a line ## and a blank line, at the top of the text, become the mail's header.

Also: Latent-Time, Cutmarks, Encrypt-Key, Inflate, Max-Size, Max-Date, Max-Count, Null.

Refused, without a word: PGP messages without integrity protection (MDC), as PGP 2 and old settings
make them, with IDEA, or packed with bzip2; mail without a plain text part. Not here: Test-To,
Remix-To, Encrypt-To, Rand-Hop, Anon-Post-To, Encrypt-Subject, Hash-Subject, and Mixmaster
(Type II) packets.

Other requests, by Subject: remailer-key, remailer-conf, remailer-stats.
"""


@dataclass
class Allowance:
    """How many answers were given today."""

    day: int = 0
    given: int = 0

    def take(self, day: int) -> bool:
        """Whether one more may be given on that day (since 1970, UTC)."""
        if day != self.day:
            self.day, self.given = day, 0
        self.given += 1
        return self.given <= A_DAY


def authors(letter: Letter) -> list[str]:
    """Addresses that a mail says it is from."""
    return _addresses(value for name in _AUTHORS for value in letter.all(name))


def asked(letter: Letter) -> str | None:
    """The request that a mail's Subject makes, if it is one."""
    subject = letter.all("subject")
    what = subject[0].lower() if len(subject) == 1 else ""
    return what if what in REQUESTS else None


def asked_by(raw: bytes) -> bool:
    """Whether a mail that wasn't opened is a request, or might be one."""
    end = raw.find(b"\r\n\r\n")
    return _SUBJECT.search(raw, 0, len(raw) if end < 0 else end) is not None


def answer(letter: Letter, me: str, rules: Rules, today: date, rng: random.Random) -> Outgoing:
    """The answer to a request. Raises Dropped if there is to be none."""
    recipient = _asker(letter, me, rules)
    what = asked(letter) or REQUESTS[0]
    ids = [found for found in letter.all("message-id") if _MESSAGE_ID.fullmatch(found)][:1]
    headers = [
        f"Subject: Re: {what}".encode(),
        b"Auto-Submitted: auto-replied",
        *(f"{name}: {ids[0]}".encode() for name in ("In-Reply-To", "References") if ids),
    ]
    body = outgoing.fit(outgoing.canonical(_text(what, me, rules).encode()))
    made = outgoing.write(recipient, headers, body, me=me, today=today, rng=rng)
    return Outgoing(made.recipient, made.mail, answer=True)


def _addresses(values: Iterable[str]) -> list[str]:
    """All that may be addresses in them. (The email package's parser recurses with parentheses.)"""
    return [word for value in values for word in _APART.split(value) if "@" in word]


def _asker(letter: Letter, me: str, rules: Rules) -> str:
    """Who gets the answer, if he is somebody who asked (RFC 3834, section 2)."""
    automatic = (
        any(
            value.partition(";")[0].strip().lower() != "no"
            for value in letter.all("auto-submitted")
        )
        or any(v.strip().lower() in ("bulk", "list", "junk") for v in letter.all("precedence"))
        or any(field.name.startswith("list-") for field in letter.header)
        or any(value.replace(" ", "") == "<>" for value in letter.all("return-path"))
    )
    if automatic:
        raise Dropped("automatic")
    given = _addresses(letter.all("reply-to") or letter.all("from"))
    recipient = given[0] if len(given) == 1 else ""
    ours = {domain_of(me), *rules.remailers}
    if (
        not is_address(recipient)
        or domain_of(recipient) in ours
        or _NOBODY.fullmatch(recipient.rpartition("@")[0])
        or rules.blocked.destination(recipient)
    ):
        raise Dropped("nobody to answer")
    return recipient


def _text(what: str, me: str, rules: Rules) -> str:
    line = capabilities(rules, me)
    if what == "remailer-key":
        return f"{line}\n\nHere is the PGP key:\n\n{rules.certificate}"
    if what == "remailer-conf":
        encrypted = "only encrypted ones" if rules.pgponly else "encrypted ones and others"
        return (
            f"Messages taken: Type I, {encrypted}\n"
            f"Largest message: {MAX_MAIL // 1024} kB\n"
            f"PGP messages one in the other: {MAX_LAYERS}\n"
            f"Recipients of a message: {MAX_RECIPIENTS}\n"
            f"Messages in a mail (Cutmarks): {MAX_PARTS}, of {MAX_OUTGOING} recipients in all\n"
            f"\n{line}\n"
        )
    if what == "remailer-stats":
        return f"This remailer keeps no statistics.\n\n{line}\n"
    return f"{_HELP}\n{line}\n"
