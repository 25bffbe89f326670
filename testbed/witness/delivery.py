"""Claim `delivered`: every mail through a node arrives exactly once, byte for byte. No I/O here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from testbed.hexdump import around, dump
from testbed.topology import Node, Topology
from testbed.traffic import Letter, body_of
from testbed.verdict import Context, Control, Evidence, Finding, judge


def findings(
    topology: Topology, letters: Sequence[Letter], unexpected: Sequence[bytes]
) -> list[Finding]:
    """A row a node: the letters whose path goes through it, and mail that no letter asked for."""
    direct = [letter for letter in letters if letter.kind == "direct"]
    rows = []
    for node in topology.remailers:
        through = [letter for letter in letters if node.name in letter.path]
        rows.append(
            judge(
                "delivered",
                node.name,
                looked_at=f"{len(through)} mails of {_sizes(through)}, read back over IMAP",
                controls=[
                    Control(
                        "an ordinary mail between the two mail hosts arrives whole",
                        bool(direct) and all(letter.whole for letter in direct),
                        f"{sum(letter.whole for letter in direct)} of {len(direct)} letters",
                    ),
                    Control("mail went through the node", bool(through), f"{len(through)} letters"),
                ],
                evidence=[*_troubles(through), *_uncalled(node, unexpected)],
                kind="mail",
            )
        )
    return rows


def _uncalled(node: Node, unexpected: Sequence[bytes]) -> Iterator[Evidence]:
    """Mail that the node delivered though nobody sent it in this run: a copy, a report, ..."""
    came = re.compile(rb"\AReturn-Path:[^\n]*\nReceived: from " + re.escape(node.domain).encode())
    for mail in unexpected:
        if came.match(mail):
            to = re.search(rb"(?im)^to:[^\r\n]*", mail)
            what = to[0].decode(errors="replace") if to else "no To"
            what += f": {len(mail)} bytes that no letter of this run asked for"
            yield Evidence("a mailbox", what, Context(dump(mail)))


def _sizes(letters: Sequence[Letter]) -> str:
    sizes = [len(letter.body) for letter in letters] or [0]
    return f"{min(sizes) / 1000:.0f} to {max(sizes) / 1000:.0f} KB"


def _troubles(letters: Sequence[Letter]) -> Iterator[Evidence]:
    for letter in letters:
        where = f"letter {letter.number} ({letter.kind}, {' > '.join(letter.path)})"
        if not letter.delivered:
            yield Evidence(where, f"never arrived at {letter.recipient}")
        elif len(letter.delivered) > 1:
            yield Evidence(where, f"arrived {len(letter.delivered)} times")
        elif not letter.whole:
            yield _difference(where, letter.body, body_of(letter.delivered[0]))


def _difference(where: str, sent: bytes, got: bytes) -> Evidence:
    """Where two bodies part, in a few words, and what arrived there."""
    at = next((i for i, (a, b) in enumerate(zip(sent, got, strict=False)) if a != b), None)
    if at is None:
        at, what = min(len(sent), len(got)), f"{len(sent)} bytes were sent, {len(got)} arrived"
    else:
        parts = f"sent {sent[at : at + 20]!r}, got {got[at : at + 20]!r}"
        what = f"byte {at} of {len(sent)}: {parts}"
    return Evidence(where, what, Context(around(got, at)))
