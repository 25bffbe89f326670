"""Late cells: which link's cells are late once a mail has come in? Work may show through ticks.

All links of a node have a cell at each tick, one after the other. Whatever is done for a mail (a
copy, a look-up, a page that isn't there) makes its cell late, and those behind it, by little
perhaps, but of all other ticks the attacker knows how late a cell is else.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from testbed.attack.observation import Observation

GAP = 0.010
"""Seconds without a packet between two cells of a link."""
AHEAD = 8
"""Ticks of a hop, after a mail came in, in which its first cell is looked for."""
LEAST = 16
"""Ticks from which the attacker learns what is usual."""
_SPREAD = 1.4826
"""From the median of absolute deviations to a standard deviation, if they are normal."""

Floats = NDArray[np.float64]


def starts(packets: tuple[tuple[float, int], ...]) -> Floats:
    """When each cell of a link begins: after a while without a packet."""
    times = np.array([time for time, _ in packets])
    return times[np.diff(times, prepend=-np.inf) > GAP]


@dataclass(frozen=True)
class Lateness:
    """How late a hop's cells are, tick by tick."""

    names: Sequence[str]
    """Receivers, in the order in which they have their cells."""
    ticks: Floats
    """Their times."""
    steps: Floats
    """(ticks, receivers) how late each cell was, in units of what is usual of its link: the first
    after its tick, each other after the one before it. One that is left out is as late as can
    be."""


def guess(seen: Observation, rng: random.Random) -> dict[int, str]:
    """For each entry, the link with the cell that is latest, of the next AHEAD ticks."""
    answers: dict[int, str] = {}
    for hop in seen.hops:
        known = lateness(seen, hop)
        for number, entry in seen.into(hop):
            first = int(np.searchsorted(known.ticks, entry.mail.end))
            own = known.steps[first : first + AHEAD]
            own = own[np.isfinite(own).any(axis=1)]  # where all are left out, no link is told
            if own.size:
                best = own.max(axis=0)
                ties = [rng.random() for _ in known.names]
                *_, answers[number] = max(zip(best, ties, known.names, strict=True))
    return answers


def lateness(seen: Observation, hop: str) -> Lateness:
    """Of all links of this hop that have LEAST cells and more."""
    cells = {to: starts(own) for (sender, to), own in seen.packets.items() if sender == hop}
    cells = {to: own for to, own in cells.items() if len(own) >= LEAST and to in seen.hops}
    if not cells:
        return Lateness((), np.empty(0), np.empty((0, 0)))
    period = float(np.median(np.concatenate([np.diff(own) for own in cells.values()])))
    begin = min(own[0] for own in cells.values())
    counted = {to: _counted(own, begin, period) for to, own in cells.items()}
    numbers = np.concatenate(list(counted.values()))
    slope, start = np.polyfit(numbers, np.concatenate(list(cells.values())), 1)
    ticks = start + slope * np.arange(numbers.max() + 1)
    late = np.full((len(ticks), len(cells)), np.nan)
    for place, (to, own) in enumerate(cells.items()):
        late[counted[to], place] = own - ticks[counted[to]]
    order = np.argsort(np.nanmedian(late, axis=0))
    late = late[:, order]
    steps = late - _before(late)
    steps -= np.nanmedian(steps, axis=0)
    steps /= _SPREAD * np.nanmedian(np.abs(steps), axis=0) + 1e-6
    steps[np.isnan(late)] = np.inf
    names = list(cells)
    return Lateness([names[place] for place in order], ticks, steps)


def _before(late: Floats) -> Floats:
    """How late the cell before each in its tick was: the last that is there, or the tick itself."""
    last = np.zeros(late.shape)
    for place in range(1, late.shape[1]):
        there = ~np.isnan(late[:, place - 1])
        last[:, place] = np.where(there, late[:, place - 1], last[:, place - 1])
    return last


def _counted(own: Floats, begin: float, period: float) -> NDArray[np.intp]:
    """The number of each cell's tick: by its gaps, as a period's error would add up."""
    gaps = np.rint(np.diff(own, prepend=begin) / period)
    return np.cumsum(gaps).astype(np.intp)
