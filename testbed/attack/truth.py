"""What is true of an observation: only the scoring is given it, never an attack. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from testbed.attack.load import Posted
from testbed.attack.observation import Observation

_MARK = re.compile(rb"[0-9a-f]{8}\.[0-9]{5}")


@dataclass(frozen=True)
class Handed:
    """That a user with a proxy handed in a mail: on whose line, and from when to when (1970)."""

    user: str
    hop: str
    begun: float
    taken: float


@dataclass(frozen=True)
class Truth:
    """The letter behind each entry, and behind each exit whose text can be read."""

    entries: Mapping[int, Posted]
    exits: Mapping[int, int]
    """Entry → exit: their places in the observation."""
    left: Mapping[int, Posted] = field(default_factory=dict)
    """The letter behind each exit, also where nobody sees it come in."""
    handed: tuple[Handed, ...] = ()
    """When users with proxies handed their mails in."""

    def of_kind(self, *kinds: str) -> list[int]:
        """The entries of these kinds, in order."""
        return [number for number, one in self.entries.items() if one.kind in kinds]

    def next(self, entry: int) -> str:
        """The hop that an entry's first hop sent it to."""
        return self.entries[entry].path[1]


def truth(seen: Observation, posted: Sequence[Posted]) -> Truth:
    """Find each letter's mark at the edges, where W reads everything."""
    letters = {one.mark: one for one in posted}
    entries: dict[int, Posted] = {}
    at: dict[str, int] = {}
    for number, entry in enumerate(seen.entries):
        mark = _mark(entry.mail.data, letters)
        if mark is not None and mark not in at:
            entries[number] = letters[mark]
            at[mark] = number
    exits: dict[int, int] = {}
    left: dict[int, Posted] = {}
    for number, exit_ in enumerate(seen.exits):
        mark = _mark(exit_.mail.data, letters)
        if mark is not None:
            left[number] = letters[mark]
            if mark in at:
                exits[at[mark]] = number
    return Truth(entries, exits, left)


def _mark(data: bytes, letters: Mapping[str, Posted]) -> str | None:
    found = (match[0].decode() for match in _MARK.finditer(data))
    return next((mark for mark in found if mark in letters), None)
