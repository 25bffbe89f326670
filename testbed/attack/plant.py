"""A leak planted in a trace, to see whether an attack would find one. Pure, and no physical plant.

Some mails leave at once a second time, as they came: past pool, padding and pacer, and in clear.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from testbed.attack import statistics
from testbed.attack.match import sizes_after
from testbed.attack.observation import Observation, Transfer
from testbed.attack.truth import Truth

LEAKS = (0.02, 0.05, 0.10, 0.15, 0.20, 0.25, 0.30, 0.40, 0.50, 0.75)
"""Shares of the mail that a plant gives away."""
POWER = 0.9
AT_ONCE = 0.05
"""Seconds."""


def visible(n: int, chance: float) -> float | None:
    """The smallest of these leaks that n questions show with 90 % power; None if they show none."""
    found = (leak for leak in LEAKS if statistics.power(n, chance, leak) >= POWER)
    return next(found, None)


def planted(seen: Observation, truth: Truth, entries: Collection[int]) -> Observation:
    """The same trace, but with a copy of these mails on the links that they really take."""
    links = {link: list(transfers) for link, transfers in seen.links.items()}
    for number in entries:
        hop, mail = seen.entries[number].hop, seen.entries[number].mail
        at = mail.end + AT_ONCE
        copy = Transfer(at, at, round(sizes_after(seen.entries[number])[0]), mail.data)
        links[hop, truth.next(number)].append(copy)
    return replace(
        seen,
        links={link: tuple(sorted(one, key=lambda t: t.start)) for link, one in links.items()},
    )
