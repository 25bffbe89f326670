"""Claim `headers`: what a node delivers tells nothing of where the mail came from. No I/O here."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from email.utils import format_datetime, parsedate_to_datetime

from remailer.client.submission import EIGHT_BIT
from testbed.hexdump import around
from testbed.run import Run
from testbed.topology import Node, Topology
from testbed.traffic import Letter, trail, values
from testbed.verdict import Context, Control, Evidence, Finding, judge, some
from testbed.wire.canary import FIELDS, Canaries
from testbed.wire.digests import Digests
from testbed.witness.inside import excerpt

HOSTS_OWN = ("return-path", "received")
"""What the recipient's host puts on top (images/mailhost): one line of each, in this order."""

SPELLED = ("From", "To", "Date", "Message-ID")
"""What the node makes, as it writes it and in this order; the rest follows."""

MADE = frozenset(name.lower() for name in SPELLED)
"""All else below the host's lines has to be asked for by the letter, word for word."""

PASSING = timedelta(hours=1)
"""How long before its arrival a mail may have got its Date: at midnight that is another day."""

RECIPIENTS_OWN = frozenset({"to", "received"})
"""Where the recipient's own address belongs, with its mark."""

KINDS = ("received", "message-id", "date", "header", "name", "form", "digest")
"""Sorts of leak; a row with several says the first."""

_STAMP = r"[A-Z][a-z]{2}, [ \d]\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+0000 \(UTC\)"
"""Postfix's date."""


@dataclass(frozen=True)
class Header:
    """One header field: its line in the mail (from 1), its name in lower case, unfolded value."""

    line: int
    name: str
    value: str
    mail: bytes = field(default=b"", repr=False)
    """The mail that it stands in, at this offset."""
    offset: int = 0
    raw: str = ""
    """As it stands there, folds and all."""


@dataclass(frozen=True)
class Exit:
    """Who hands a mail to the recipient's host, and what it may call itself."""

    greeting: str
    host: str
    domain: str
    sender: str
    """The whole From."""
    names: frozenset[str]
    """Names, domains and addresses of all others that may have had the mail: none may be told."""
    digests: Digests
    """What it could have hashed."""

    @classmethod
    def of(cls, node: Node, topology: Topology, digests: Digests) -> Exit:
        """A remailer that the chain ends at."""
        others = [other for other in topology.remailers if other != node]
        names = {name for other in others for name in (other.name, other.host)}
        sender = f"Anonymous <{node.address}>"
        return cls(node.domain, node.host, node.domain, sender, frozenset(names), digests)


@dataclass(frozen=True)
class Trace:
    """One thing in a delivered mail that tells of its origin."""

    kind: str
    evidence: Evidence


def parse(mail: bytes) -> list[Header]:
    """The header of a mail with CRLF or LF ends, as it stands there."""
    headers: list[Header] = []
    offset = 0
    for number, line in enumerate(mail.split(b"\n"), 1):
        text = line.decode("latin-1").rstrip("\r")
        if not text:
            break
        if text[0] in " \t" and headers:
            last = headers.pop()
            headers.append(replace(last, value=last.value + text, raw=f"{last.raw}\n{text}"))
        else:
            name, _, value = text.partition(":")
            name, value = name.strip().lower(), value.strip()
            headers.append(Header(number, name, value, mail, offset, text))
        offset += len(line) + 1
    return headers


def findings(run: Run) -> list[Finding]:
    """A row a node that delivers; run.letters have been fetched."""
    return judge_letters(run.web.topology, run.letters, run.canaries)


def judge_letters(
    topology: Topology, letters: Sequence[Letter], canaries: Canaries
) -> list[Finding]:
    """A row a node, from the mails for which it was the last of the chain."""
    seen = Counter(
        header.value
        for letter in letters
        if letter.path
        for mail in letter.delivered
        for header in parse(mail)
        if header.name == "message-id"
    )
    direct = [letter for letter in letters if letter.kind == "direct"]
    ordinary_digests = Digests.of(values(direct, canaries))
    rows = []
    for node in topology.remailers:
        last = [letter for letter in letters if letter.path[-1:] == (node.name,)]
        exit_ = Exit.of(node, topology, trail(letters, canaries, node).digests)
        traces = [t for letter in last for t in traces_of(letter, exit_, canaries, seen)]
        traces.sort(key=lambda trace: KINDS.index(trace.kind))
        # As if the sender's own mail host were the exit: it has kept all that was there before it.
        ordinary = [
            trace
            for letter in direct
            for host in topology.mailhosts
            if letter.sender.endswith(f"@{host.domain}")
            for trace in traces_of(
                letter,
                replace(
                    exit_, greeting=f"mail.{host.domain}", host=host.host, digests=ordinary_digests
                ),
                canaries,
                seen,
            )
        ]
        mails = sum(len(letter.delivered) for letter in last)
        rows.append(
            judge(
                "headers",
                node.name,
                looked_at=f"{mails} mails that it delivered, all their headers",
                controls=[
                    Control("mail was delivered by the node", mails > 0, f"{mails} mails"),
                    *_controls(ordinary, direct, canaries),
                ],
                evidence=some([trace.evidence for trace in traces]),
                kind=next((k for k in KINDS if any(t.kind == k for t in traces)), ""),
            )
        )
    return rows


def _controls(
    traces: Sequence[Trace], direct: Sequence[Letter], canaries: Canaries
) -> Iterator[Control]:
    """The same check has to find all of it in an ordinary mail."""
    marks = [canaries.mark(letter.number, "s") for letter in direct]
    sought = {
        "an ordinary mail shows its way": [t for t in traces if t.kind == "received"],
        "an ordinary mail shows its Message-ID": [
            t for t in traces if t.kind == "message-id" and "as submitted" in t.evidence.what
        ],
        "an ordinary mail shows its time": [t for t in traces if t.kind == "date"],
        "an ordinary mail shows its sender": [
            t for t in traces if any(mark in t.evidence.what for mark in marks)
        ],
        "an ordinary mail shows its sender's name": [t for t in traces if t.kind == "name"],
        "an ordinary mail shows a digest": [t for t in traces if t.kind == "digest"],
        "an ordinary mail shows its program's order": [t for t in traces if t.kind == "form"],
    }
    for what, found in sought.items():
        yield Control(what, bool(found), found[0].evidence.where if found else "")


def traces_of(
    letter: Letter, exit_: Exit, canaries: Canaries, seen: Mapping[str, int]
) -> Iterator[Trace]:
    """All that a letter's delivered mails tell of their origin.

    `seen`: how often each Message-ID came out of the web.
    """
    by = f"mail.{letter.home}"
    told = MADE.union(HOSTS_OWN)
    for mail in letter.delivered:
        headers = parse(mail)
        yield from _received(letter, headers, exit_, by)
        yield from _form(letter, headers)
        asked = {(name.lower(), value) for name, value in _asked(letter)}
        for place, header in enumerate(headers):
            if header.name == "message-id":
                yield from _message_id(letter, header, exit_, canaries, seen)
            elif header.name == "date" and not _today(header.value, headers):
                yield _trace("date", letter, header)
            elif header.name == "from" and header.value != exit_.sender:
                yield _trace("header", letter, header, "not the node's: ")
            elif header.name == "to" and header.value != letter.recipient:
                yield _trace("header", letter, header, "not the recipient alone: ")
            elif header.name == "return-path" and (place, header.value) != (0, "<>"):
                yield _trace("header", letter, header, "not the host's, or not empty: ")
            elif header.name not in told and (header.name, header.value) not in asked:
                yield _trace("header", letter, header, "not asked for: ")
            yield from _marks(letter, header, canaries)
            yield from _names(letter, header, exit_)
            if header.name != "message-id":  # told as such
                yield from _digests(letter, header, exit_)


def _asked(letter: Letter) -> list[tuple[str, str]]:
    """The lines that a letter asks for, in their order; who answers a reply block asks for none.

    Programs that make messages and blocks say of a text that it is in UTF-8, as all of ours are.
    """
    own = letter.kind in {"forward", "direct"}
    asked = [("Subject", letter.subject), *letter.headers] if own else []
    if letter.path and not any(name == "Content-Type" for name, _ in asked):
        asked += [(name, value) for name, _, value in (line.partition(": ") for line in EIGHT_BIT)]
    return asked


def _message_id(
    letter: Letter,
    header: Header,
    exit_: Exit,
    canaries: Canaries,
    seen: Mapping[str, int],
) -> Iterator[Trace]:
    if header.value == letter.message_id:
        yield _trace("message-id", letter, header, "as submitted: ")
    elif any(canaries.search(header.value.encode("latin-1"))):
        yield _trace("message-id", letter, header, "marked: ")
    elif seen.get(header.value, 0) > 1:
        yield _trace("message-id", letter, header, "in more than one mail: ")
    elif not re.fullmatch(rf"<[0-9a-f]{{32}}@{re.escape(exit_.domain)}>", header.value):
        yield _trace("message-id", letter, header, "not 128 bits at the node: ")
    elif hit := next(exit_.digests.search(header.value.encode("latin-1")), None):
        yield _trace("message-id", letter, header, f"{hit.form} of {hit.mark}: ")


def _digests(letter: Letter, header: Header, exit_: Exit) -> Iterator[Trace]:
    """Digests of what the letters carry."""
    for hit in exit_.digests.search(f"{header.name}: {header.value}".encode("latin-1")):
        yield _trace("digest", letter, header, f"{hit.form} of {hit.mark}: ")


def _names(letter: Letter, header: Header, exit_: Exit) -> Iterator[Trace]:
    """The sender's user and domain, and other remailers: no line may have them."""
    user, domain = letter.sender.partition("+")[0].lower(), letter.sender.rpartition("@")[2]
    value = header.value.lower()
    for name in sorted({user, domain, *exit_.names}):
        if re.search(rf"(?<![a-z0-9]){re.escape(name)}(?![a-z0-9])", value):
            yield _trace("name", letter, header, f"tells {name}: ")


def _today(date: str, headers: Sequence[Header]) -> bool:
    """Whether a Date is the midnight before the recipient's host took the mail, by its own word."""
    stamps = (h.value.rpartition(";")[2] for h in headers if h.name == "received")
    try:
        taken = parsedate_to_datetime(next(stamps, ""))
        days = {moment.astimezone(UTC).date() for moment in (taken, taken - PASSING)}
    except (ValueError, TypeError, OverflowError):
        return False  # the mail is odd in other ways, too
    return date in {format_datetime(datetime.combine(day, time(), tzinfo=UTC)) for day in days}


def _form(letter: Letter, headers: Sequence[Header]) -> Iterator[Trace]:
    """Order, spelling and blanks: in what the reader doesn't see there is room for a log."""
    own = headers[len(HOSTS_OWN) :]
    for place, name in enumerate(SPELLED):
        end = Header(len(headers), "header", "ends before it")
        here = own[place] if place < len(own) else end
        if not here.raw.startswith(f"{name}:"):
            yield _trace("form", letter, here, f"not {name} as no. {place + 1}: ")
            return
        if here.raw != f"{name}: {here.value}":
            yield _trace("form", letter, here, "blanks or folds of its own: ")
    rest = own[len(SPELLED) :]
    asked = [f"{name}: {value}" for name, value in _asked(letter)]
    if [header.raw for header in rest] != asked:
        pairs = zip(rest, asked, strict=False)
        odd = next((header for header, line in pairs if header.raw != line), own[-1])
        yield _trace("form", letter, odd, "not the lines asked for, each once, in their order: ")


def _received(letter: Letter, headers: Sequence[Header], exit_: Exit, by: str) -> Iterator[Trace]:
    """Received lines other than the one of the recipient's host, who says whom he had it from."""
    greeting, host, taker, recipient = map(
        re.escape, (exit_.greeting, exit_.host, by, letter.recipient)
    )
    hosts = re.compile(
        rf"Received: from {greeting} \(({greeting}|unknown) \[{host}\]\)\n"
        rf"\tby {taker} \(Postfix\) with ESMTP id [0-9A-Za-z]+\n"
        rf"\tfor <{recipient}>; {_STAMP}"
    )
    for place, header in enumerate(headers):
        own = place == HOSTS_OWN.index("received") and hosts.fullmatch(header.raw)
        if header.name == "received" and not own:
            yield _trace("received", letter, header)
    if not any(header.name == "received" for header in headers):
        nothing = Header(1, "received", f"no line of {by}: it can't be told where it came from")
        yield _trace("received", letter, nothing)


def _marks(letter: Letter, header: Header, canaries: Canaries) -> Iterator[Trace]:
    """Marks, but for the recipient's own address and a Subject that the letter asked for."""
    whole = f"{header.name}: {header.value}".encode("latin-1")
    for hit in canaries.search(whole):
        own = canaries.letter_of(hit.mark) == letter.number
        code = hit.mark[-1] if own else ""
        if code == "r" and header.name in RECIPIENTS_OWN:
            continue
        if code == "j" and header.name == "subject" and ("Subject", header.value) in _asked(letter):
            continue
        if header.name == "message-id":
            continue  # told as such
        what = FIELDS.get(code, "another mail's mark" if hit.form == "raw" else "a mark")
        yield _trace("header", letter, header, f"{what} ({hit.form}): ")


def _trace(kind: str, letter: Letter, header: Header, why: str = "") -> Trace:
    where = f"letter {letter.number} as delivered, line {header.line}"
    what = f"{why}{header.name}: {excerpt(header.value)}"
    return Trace(kind, Evidence(where, what, Context(around(header.mail, header.offset))))
