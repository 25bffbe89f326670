"""Claim `headers`: what a node delivers tells nothing of where the mail came from. No I/O here."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from testbed.run import Run
from testbed.topology import Topology
from testbed.traffic import Letter
from testbed.verdict import Control, Evidence, Finding, judge
from testbed.wire.canary import FIELDS, Canaries
from testbed.witness.inside import excerpt, some

ALLOWED = frozenset(
    {
        "return-path", "delivered-to", "x-original-to", "received",
        "from", "to", "subject", "date", "message-id",
        "mime-version", "content-type", "content-transfer-encoding", "reply-to", "in-reply-to",
    }
)  # fmt: skip
"""What may be there: what the recipient's host adds, what the node makes, and `##` lines."""

RECIPIENTS_OWN = frozenset({"to", "delivered-to", "x-original-to", "received"})
"""Where the mark of the recipient's own address belongs."""

KINDS = ("received", "message-id", "date", "header")
"""Sorts of leak; a row with several says the first."""

_MIDNIGHT = re.compile(r".* 00:00:00 \+0000")
_SPOKEN = re.compile(r"from .*?\[(?P<host>[0-9a-fA-F.:]+)\].*?\bby (?P<by>\S+)", re.DOTALL)


@dataclass(frozen=True)
class Header:
    """One header field: its line in the mail (from 1), its name in lower case, unfolded value."""

    line: int
    name: str
    value: str


@dataclass(frozen=True)
class Trace:
    """One thing in a delivered mail that tells of its origin."""

    kind: str
    evidence: Evidence


def parse(mail: bytes) -> list[Header]:
    """The header of a mail with CRLF or LF ends, as it stands there."""
    headers: list[Header] = []
    lines = mail.replace(b"\r\n", b"\n").partition(b"\n\n")[0].split(b"\n")
    for number, line in enumerate(lines, 1):
        text = line.decode("latin-1")
        if text[:1] in {" ", "\t"} and headers:
            last = headers.pop()
            headers.append(Header(last.line, last.name, last.value + text))
        else:
            name, _, value = text.partition(":")
            headers.append(Header(number, name.strip().lower(), value.strip()))
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
    rows = []
    for node in topology.remailers:
        last = [letter for letter in letters if letter.path[-1:] == (node.name,)]
        traces = [t for letter in last for t in traces_of(letter, node.host, canaries, seen)]
        ordinary = [t for letter in direct for t in traces_of(letter, node.host, canaries, seen)]
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
        "an ordinary mail shows its Message-ID": [t for t in traces if t.kind == "message-id"],
        "an ordinary mail shows its time": [t for t in traces if t.kind == "date"],
        "an ordinary mail shows its sender": [
            t for t in traces if any(mark in t.evidence.what for mark in marks)
        ],
    }
    for what, found in sought.items():
        yield Control(what, bool(found), found[0].evidence.where if found else "")


def traces_of(
    letter: Letter, exit_host: str, canaries: Canaries, seen: Mapping[str, int]
) -> Iterator[Trace]:
    """All that a letter's delivered mails tell of their origin.

    `exit_host`: the address from which the recipient's host had it; `seen`: how often each
    Message-ID came out of the web.
    """
    by = f"mail.{letter.recipient.rpartition('@')[2]}"
    for mail in letter.delivered:
        headers = parse(mail)
        yield from _received(letter, headers, exit_host, by)
        for header in headers:
            if header.name == "message-id":
                if header.value == letter.message_id:
                    yield _trace("message-id", letter, header, "as submitted: ")
                elif any(canaries.search(header.value.encode("latin-1"))):
                    yield _trace("message-id", letter, header, "marked: ")
                elif seen.get(header.value, 0) > 1:
                    yield _trace("message-id", letter, header, "in more than one mail: ")
            elif header.name == "date" and not _MIDNIGHT.fullmatch(header.value):
                yield _trace("date", letter, header)
            elif header.name not in ALLOWED:
                yield _trace("header", letter, header, "not asked for: ")
            yield from _marks(letter, header, canaries)


def _received(
    letter: Letter, headers: Sequence[Header], exit_host: str, by: str
) -> Iterator[Trace]:
    """Received lines of others than the recipient's host, or from others than the exit node."""
    lines = [header for header in headers if header.name == "received"]
    for header in lines:
        spoken = _SPOKEN.match(header.value)
        if spoken is None or (spoken["host"], spoken["by"]) != (exit_host, by):
            yield _trace("received", letter, header)
    if not lines:
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
        if code == "j" and header.name == "subject" and letter.kind == "forward":
            continue
        if header.name == "message-id":
            continue  # told as such
        what = FIELDS.get(code, "another mail's mark" if hit.form == "raw" else "a mark")
        yield _trace("header", letter, header, f"{what} ({hit.form}): ")


def _trace(kind: str, letter: Letter, header: Header, why: str = "") -> Trace:
    where = f"letter {letter.number} as delivered, line {header.line}"
    return Trace(kind, Evidence(where, f"{why}{header.name}: {excerpt(header.value)}"))
