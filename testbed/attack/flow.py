"""Flow correlation (Levine, Reiter, Wang and Wright 2004): two ends of a path rise and fall alike.

It needs long flows; mails are few, so it is weak here, and said to be.
"""

from __future__ import annotations

import random
from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from testbed.attack.observation import Observation

BIN = 0.5
"""Seconds over which packets are counted."""
LATEST = 16
"""Bins by which the second end may be later."""


def guess(seen: Observation, rng: random.Random) -> dict[str, str]:
    """For each sender, the link out of his hop that goes up and down as his mails come."""
    since, until = seen.span
    bins = max(LATEST + 2, int((until - since) / BIN))
    came: dict[tuple[str, str], list[float]] = defaultdict(list)
    for entry in seen.entries:
        came[entry.sender, entry.hop].append(entry.mail.end)
    links = {
        link: _counts([time for time, _ in packets], since, bins)
        for link, packets in seen.packets.items()
    }
    series = {key: _counts(times, since, bins) for key, times in came.items()}
    lag = _lag(series, links)
    answers = {}
    for (sender, hop), own in series.items():
        alike = {
            link[1]: _correlation(own, links[link], lag) + rng.random() * 1e-9
            for link in links
            if link[0] == hop
        }
        if alike:
            answers[sender] = max(alike, key=lambda to: alike[to])
    return answers


def _counts(times: list[float], since: float, bins: int) -> NDArray[np.float64]:
    found, _ = np.histogram(times, bins=bins, range=(since, since + bins * BIN))
    return found.astype(float)


def _lag(
    series: dict[tuple[str, str], NDArray[np.float64]],
    links: dict[tuple[str, str], NDArray[np.float64]],
) -> int:
    """The delay in bins that brings a hop's whole input and output together best."""
    into: dict[str, NDArray[np.float64]] = {}
    out: dict[str, NDArray[np.float64]] = {}
    for (_, hop), own in series.items():
        into[hop] = into.get(hop, 0.0) + own
    for (hop, _), own in links.items():
        out[hop] = out.get(hop, 0.0) + own
    hops = into.keys() & out.keys()
    return max(
        range(LATEST),
        key=lambda lag: sum(_correlation(into[hop], out[hop], lag) for hop in hops),
    )


def _correlation(first: NDArray[np.float64], second: NDArray[np.float64], lag: int) -> float:
    """Pearson's, of the first and what comes `lag` bins later (and a bin after that) in the second.

    A bin may end between the two: so the second is looked at over two bins.
    """
    later = np.append(second[lag:], np.zeros(lag))
    later = later + np.append(later[1:], 0.0)
    if first.std() == 0 or later.std() == 0:
        return 0.0
    return float(np.corrcoef(first, later)[0, 1])
