"""Busy against idle: do a link's packets tell whether there is mail in them?

The classifier is a linear one (ridge regression on standardised features of a window). It is
taught on other times than it is asked about: S knows of some windows whether they had his mail.
It compares a window with what its own link looks like else, and with the other links at that time:
links differ, and so does what a machine does to all of them at once, whether there is mail or not.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from testbed.attack.observation import Link, Observation

WINDOW = 2.0
"""Seconds of a link that are called busy or idle."""
RIDGE = 1.0
FOLDS = 5


def features(seen: Observation, link: Link, start: float) -> list[float]:
    """Number, bytes and rhythm of the packets in a window, of both directions of the link."""
    found: list[float] = []
    for way in (link, link[::-1]):
        packets = seen.packets.get(way, ())
        own = packets[bisect_left(packets, (start,)) : bisect_left(packets, (start + WINDOW,))]
        sizes = np.array([float(size) for _, size in own] or [0.0])
        gaps = np.diff([t for t, _ in own]) if len(own) > 2 else np.array([WINDOW])
        found += [
            float(len(own)), float(np.log1p(sizes.sum())), float(np.log1p(sizes.max())),
            float(gaps.mean()), float(gaps.std()), float(gaps.min()), float(gaps.max()),
        ]  # fmt: skip
    return found


def plain(
    rows: NDArray[np.float64], links: Sequence[Hashable], blocks: Sequence[Hashable]
) -> NDArray[np.float64]:
    """Features of windows less what each link has always, and all links have in a block of time.

    With the first a classifier knows links apart, and is misled by it: a link that had more mail
    than others when it was taught has less of the rest of a load that gives each as many.
    """
    return _centred(_centred(rows, links), blocks)


def scores(
    rows: NDArray[np.float64], labels: NDArray[np.bool_], blocks: Sequence[int]
) -> NDArray[np.float64]:
    """How busy each window looks, against those of its block, to a classifier taught on all blocks
    but those of its fold.

    `labels` may have columns: each is a truth of its own, and gets a classifier of its own.
    """
    fold = np.array(blocks) % FOLDS
    busy = _centred(np.where(labels, 1.0, -1.0), blocks)
    found = np.zeros(busy.shape)
    for one in range(FOLDS):
        taught, asked = rows[fold != one], rows[fold == one]
        if not len(taught) or not len(asked):
            continue
        scale = taught.std(axis=0) + 1e-9
        x = taught / scale
        weights = np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ busy[fold != one])
        found[fold == one] = asked / scale @ weights
    return found


def _centred(values: NDArray[np.float64], groups: Sequence[Hashable]) -> NDArray[np.float64]:
    """Less the mean of their group."""
    found = values.copy()
    places: dict[Hashable, list[int]] = defaultdict(list)
    for place, group in enumerate(groups):
        places[group].append(place)
    for own in places.values():
        found[own] -= values[own].mean(axis=0)
    return found
