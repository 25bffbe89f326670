"""What an attacker may see. Nothing here knows the truth; no attack is given anything else.

A transfer is what one side of a connection said before the other answered: in SMTP a whole mail, in
cells whatever passes between two cells of the other side. The same types hold what wires show (W)
and what mail hosts wrote down (D): times, sizes, and bytes wherever they can be read.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

SMALLEST = 500
"""Bytes of the smallest mail of a remailer: its one layer of OpenPGP has more than that."""


@dataclass(frozen=True)
class Transfer:
    """Bytes that went one way without a word from the other side."""

    start: float
    end: float
    size: int
    data: bytes = b""
    """As they stood on the wire: text if the link is in clear, else what encryption made of it."""


@dataclass(frozen=True)
class Entry:
    """A mail that came into the web at a hop, by ordinary mail; or what a user's proxy said to it,
    which may be one."""

    hop: str
    sender: str
    """Of its envelope; of what a proxy said, whose proxy it is."""
    mail: Transfer


@dataclass(frozen=True)
class Exit:
    """A mail that left the web from a hop, by ordinary mail."""

    hop: str
    recipient: str
    """Of its envelope."""
    mail: Transfer


Link = tuple[str, str]
"""A directed link: from one remailer to another."""


@dataclass(frozen=True)
class Observation:
    """What one attacker saw of one web, from when to when. An entry's place is its number."""

    hops: tuple[str, ...]
    entries: tuple[Entry, ...]
    links: Mapping[Link, tuple[Transfer, ...]]
    """All that may be a mail, in the order of its beginning."""
    exits: tuple[Exit, ...] = ()
    packets: Mapping[Link, tuple[tuple[float, int], ...]] = field(default_factory=dict)
    """(time, bytes of payload) of each packet from the first to the second, whatever it was for; of
    the lines between users' proxies and their first hops, too."""
    span: tuple[float, float] = (0.0, 0.0)
    resolution: float = 0.0
    """Seconds by which the attacker's clocks are coarse: those of a log."""
    own: Mapping[int, str] = field(default_factory=dict)
    """S: the entries that he sent himself, and the next hop that each asks for."""
    friends: frozenset[str] = frozenset()
    """S: whom his own mails are for, by their addresses."""
    tags: Mapping[int, bytes] = field(default_factory=dict)
    """A: the entries to which he added a mark, and the mark."""
    inside: Mapping[int, str] = field(default_factory=dict)
    """N: the entries at remailers that he runs, and the next hop that each goes to."""

    def during(self, since: float, until: float) -> Observation:
        """What began between two points of time (seconds since 1970)."""

        def within(mail: Transfer) -> bool:
            return since <= mail.start < until

        return replace(
            self,
            entries=tuple(one for one in self.entries if within(one.mail)),
            links={link: tuple(filter(within, own)) for link, own in self.links.items()},
            exits=tuple(one for one in self.exits if within(one.mail)),
            packets={
                link: own[bisect_left(own, (since,)) : bisect_left(own, (until,))]
                for link, own in self.packets.items()
            },
            span=(since, until),
        )

    def out(self, hop: str) -> list[tuple[str, Transfer]]:
        """All that left a hop for another: to whom, and what; in order."""
        found = [
            (receiver, transfer)
            for (sender, receiver), transfers in self.links.items()
            if sender == hop
            for transfer in transfers
        ]
        return sorted(found, key=lambda one: one[1].start)

    def into(self, hop: str) -> list[tuple[int, Entry]]:
        """The numbered entries at a hop, in order of their ends."""
        found = [(number, one) for number, one in enumerate(self.entries) if one.hop == hop]
        return sorted(found, key=lambda one: one[1].mail.end)
