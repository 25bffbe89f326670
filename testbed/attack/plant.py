"""A leak planted in a trace, to see whether an attack would find one. Pure, and no physical plant.

Some mails leave at once a second time, as they came: past pool, padding and pacer, and in clear. Or
they are also seen to come from whoever wrote them. Or their first cell is late.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable
from dataclasses import replace

from testbed.attack import statistics
from testbed.attack.match import GROWTH, sizes_after
from testbed.attack.observation import Entry, Link, Observation, Transfer
from testbed.attack.rhythm import GAP
from testbed.attack.truth import Truth

LEAKS = (0.02, 0.05, 0.10, 0.15, 0.20, 0.25, 0.30, 0.40, 0.50, 0.75)
"""Shares of the mail that a plant gives away."""
POWER = 0.9
LATE = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.010, 0.020, 0.040)
"""Seconds by which the first cell of all mails is late: who is to be at chance has to find one."""
OF_SOME = 0.005
"""Seconds by which it is late where some mails are given away."""
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
    """The same trace, but these exits' mails, or all of these recipients', also went over their
    writers' own lines just before: sealed, of their own size, past all cells."""
    more = []
    for number, exit_ in enumerate(seen.exits):
        if number in truth.left and (number in asked or exit_.recipient in asked):
            letter, at = truth.left[number], exit_.mail.start - AT_ONCE
            size = round(exit_.mail.size * GROWTH ** len(letter.path))
            more.append(Entry(letter.path[0], letter.sender, Transfer(at, at, size)))
    return replace(seen, entries=tuple(sorted((*seen.entries, *more), key=lambda e: e.mail.end)))


def late_cells(seen: Observation, truth: Truth, asked: Collection[Hashable]) -> Observation:
    """The same trace, but the first cell after each of these mails, on its link, was late."""
    entries = [key for key in asked if isinstance(key, int)]
    return late(seen, ((_link(seen, truth, n), seen.entries[n].mail.end) for n in entries), OF_SOME)


def late_links(seen: Observation, truth: Truth, seconds: float) -> Observation:
    """The same trace, but of all mails that cell was late."""
    every = ((_link(seen, truth, n), seen.entries[n].mail.end) for n in truth.entries)
    return late(seen, every, seconds)


def late_lines(seen: Observation, truth: Truth, seconds: float) -> Observation:
    """The same trace, but of all mails the first cell on their users' lines was late."""
    return late(seen, (((one.user, one.hop), one.taken) for one in truth.handed), seconds)


def late(seen: Observation, mails: Iterable[tuple[Link, float]], seconds: float) -> Observation:
    """The first cell on each of these links after that moment, so many seconds late."""
    packets = {link: list(own) for link, own in seen.packets.items()}
    moved: dict[Link, set[int]] = defaultdict(set)
    for link, at in mails:
        own = packets[link]
        first = bisect_left(own, (at,))
        while 0 < first < len(own) and own[first][0] - own[first - 1][0] <= GAP:
            first += 1  # a cell that had begun already
        last = first + 1
        while last < len(own) and own[last][0] - own[last - 1][0] <= GAP:
            last += 1
        moved[link] |= set(range(first, min(last, len(own))))
    for link, places in moved.items():
        for place in places:
            time, size = packets[link][place]
            packets[link][place] = time + seconds, size
    return replace(seen, packets={link: tuple(sorted(own)) for link, own in packets.items()})


def _link(seen: Observation, truth: Truth, number: int) -> Link:
    return seen.entries[number].hop, truth.next(number)


def planted(seen: Observation, truth: Truth, entries: Collection[int]) -> Observation:
    """The same trace, but with a copy of these mails on the links that they really take."""
    links = {link: list(transfers) for link, transfers in seen.links.items()}
    packets = {link: list(own) for link, own in seen.packets.items()}
    for number in entries:
        mail = seen.entries[number].mail
        link, at = _link(seen, truth, number), mail.end + AT_ONCE
        copy = Transfer(at, at, round(sizes_after(seen.entries[number])[0]), mail.data)
        links[link].append(copy)
        packets.setdefault(link, []).extend([(at, SEGMENT)] * -(-copy.size // SEGMENT))
    return replace(
        seen,
        links={link: tuple(sorted(one, key=lambda t: t.start)) for link, one in links.items()},
        packets={link: tuple(sorted(own)) for link, own in packets.items()},
    )
