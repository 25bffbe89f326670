"""Busy against idle: do a link's packets tell whether there is mail in them?

The classifier is a linear one (ridge regression on standardised features of a window). It is taught
on other times than it is asked about: S knows of some windows whether they had his mail.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

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


def scores(
    rows: NDArray[np.float64], labels: NDArray[np.bool_], blocks: Sequence[int]
) -> NDArray[np.float64]:
    """How busy each window looks to a classifier taught on all blocks but those of its fold.

    `labels` may have columns: each is a truth of its own, and gets a classifier of its own.
    """
    fold = np.array(blocks) % FOLDS
    busy = np.where(labels, 1.0, -1.0)
    found = np.zeros(busy.shape)
    for one in range(FOLDS):
        taught, asked = rows[fold != one], rows[fold == one]
        if not len(taught) or not len(asked):
            continue
        middle, scale = taught.mean(axis=0), taught.std(axis=0) + 1e-9
        x, known = (taught - middle) / scale, busy[fold != one]
        # No constant: how many are busy elsewhere says the less of these, the fewer there are, and
        # would make a classifier that knows nothing look worse than chance (AUC .44 of 300).
        known = known - known.mean(axis=0)
        weights = np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ known)
        found[fold == one] = (asked - middle) / scale @ weights
    return found
