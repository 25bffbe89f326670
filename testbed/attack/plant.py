"""A leak planted in a trace, to see whether an attack would find one. Pure, and no physical plant.

Some mails leave at once a second time, as they came: past pool, padding and pacer, and in clear. Or
they are also seen to come from whoever wrote them.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Hashable
from dataclasses import replace

from testbed.attack import statistics
from testbed.attack.match import GROWTH, sizes_after
from testbed.attack.observation import SMALLEST, Entry, Observation, Transfer
from testbed.attack.truth import Truth

LEAKS = (0.02, 0.05, 0.10, 0.15, 0.20, 0.25, 0.30, 0.40, 0.50, 0.75)
"""Shares of the mail that a plant gives away."""
POWER = 0.9
SHOWN = 0.5
AT_ONCE = 0.05
"""Seconds."""
SEGMENT = 1448
"""Bytes of a mail in one packet."""


def visible(n: int, chance: float, alpha: float) -> list[float]:
    """Those of these leaks that n questions show with 90 % power, the smallest first."""
    return [leak for leak in LEAKS if statistics.power(n, chance, leak, alpha) >= POWER]


def past_everything(seen: Observation, truth: Truth, asked: Collection[Hashable]) -> Observation:
    """Give away the mails that these questions are about: entries, or people whose all mails."""
    entries = {key for key in asked if isinstance(key, int)}
    # Of a reply block all uses, as it is asked about once.
    letters = [truth.entries[number] for number in entries]
    blocks = {one.sender for one in letters if one.kind in {"reply", "sealed"}}
    people = blocks | {key for key in asked if isinstance(key, str)}
    whole = {n for n, one in truth.entries.items() if one.sender in people}
    return planted(seen, truth, entries | whole)


def from_home(seen: Observation, truth: Truth, asked: Collection[Hashable]) -> Observation:
    """The same trace, but these exits' mails also went over their writers' own lines just before:
    sealed, of their own size, past all cells."""
    more = []
    for number, exit_ in enumerate(seen.exits):
        if number in asked:
            letter, at = truth.left[number], exit_.mail.start - AT_ONCE
            size = round(exit_.mail.size * GROWTH ** len(letter.path))
            more.append(Entry(letter.path[0], letter.sender, Transfer(at, at, size)))
    return replace(seen, entries=tuple(sorted((*seen.entries, *more), key=lambda e: e.mail.end)))


def on_lines(seen: Observation, truth: Truth, rng: random.Random) -> Observation:
    """The same trace, but a share SHOWN of the mails has a packet more on its user's line."""
    packets = {line: list(own) for line, own in seen.packets.items()}
    for one in truth.handed:
        if rng.random() < SHOWN:
            packets[one.user, one.hop].append((one.taken, SMALLEST))
    return replace(seen, packets={line: tuple(sorted(own)) for line, own in packets.items()})


def planted(seen: Observation, truth: Truth, entries: Collection[int]) -> Observation:
    """The same trace, but with a copy of these mails on the links that they really take."""
    links = {link: list(transfers) for link, transfers in seen.links.items()}
    packets = {link: list(own) for link, own in seen.packets.items()}
    for number in entries:
        hop, mail = seen.entries[number].hop, seen.entries[number].mail
        link, at = (hop, truth.next(number)), mail.end + AT_ONCE
        copy = Transfer(at, at, round(sizes_after(seen.entries[number])[0]), mail.data)
        links[link].append(copy)
        packets.setdefault(link, []).extend([(at, SEGMENT)] * -(-copy.size // SEGMENT))
    return replace(
        seen,
        links={link: tuple(sorted(one, key=lambda t: t.start)) for link, one in links.items()},
        packets={link: tuple(sorted(own)) for link, own in packets.items()},
    )
