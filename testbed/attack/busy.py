"""Busy against idle: do a link's packets tell whether there is mail in them?

The classifier is a linear one (ridge regression on features of a window). It is taught on other
times than it is asked about: S knows of some windows whether they had his mail. It compares links
at one moment, each with what it looks like else: links differ, and so does what a machine does to
all of them at once, whether there is mail or not.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Lesson:
    """What a classifier is taught on and then asked: all of it but which windows were busy."""

    taught: NDArray[np.intp]
    asked: NDArray[np.intp]
    learn: NDArray[np.float64]
    """From labels of what it is taught on to weights of features."""
    looks: NDArray[np.float64]
    """The features of what it is asked."""


def lessons(
    rows: NDArray[np.float64], links: Sequence[Hashable], moments: Sequence[Hashable]
) -> list[Lesson]:
    """One for each fold of the moments; each window is asked once.

    What a link has always is reckoned from what is taught alone, together with what all links have
    at a moment. (With it a classifier knows links apart, and is misled: in a load that gives each
    link as many mails, one that had more of them here has fewer there. And were it reckoned from
    all windows, it would be led: what a link lacks here, it has there.)
    """
    own, times = _places(links), _places(moments)
    always, now = np.eye(max(own) + 1)[own], np.eye(max(times) + 1)[times]
    fold = times % FOLDS
    found = []
    for one in range(FOLDS):
        taught, asked = np.flatnonzero(fold != one), np.flatnonzero(fold == one)
        if not len(taught) or not len(asked):
            continue
        both = np.hstack([always[taught], now[taught]])
        usual = np.linalg.lstsq(both, rows[taught], rcond=None)[0]
        x = rows[taught] - both @ usual
        scale = x.std(axis=0) + 1e-9
        x = x / scale
        learn = np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T)
        looks = (rows[asked] - always[asked] @ usual[: always.shape[1]]) / scale
        found.append(Lesson(taught, asked, learn, looks))
    return found


def scores(taught: Sequence[Lesson], labels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How busy each window looks, against others of its moment, to a classifier that never saw it.

    `labels` may have columns: each is a truth of its own, and gets a classifier of its own.
    """
    busy = np.where(labels, 1.0, -1.0)
    found = np.zeros(busy.shape)
    for one in taught:
        found[one.asked] = one.looks @ (one.learn @ busy[one.taught])
    return found


def _places(names: Sequence[Hashable]) -> NDArray[np.intp]:
    """Each by its place among the different ones, in their order."""
    places = {name: place for place, name in enumerate(dict.fromkeys(names))}
    return np.array([places[name] for name in names], dtype=np.intp)
