"""Windows in which a link is surely busy, or surely idle, and how well a classifier tells. Pure.

Here the truth comes in, as in `questions.py`; the classifier itself is `busy.py`.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from testbed.attack import busy, statistics
from testbed.attack.observation import Link, Observation
from testbed.attack.score import Score
from testbed.attack.truth import Truth

FIRST_SENT, ALL_SENT = 0.5, 2.0
"""Seconds after a proxy took a mail: by then its first cell is on the line, and all of them."""
AT_A_TIME = 500
"""Exchanges of all labels that are in memory together."""


@dataclass
class Windows:
    """Windows of links that are surely busy or idle."""

    rows: list[list[float]] = field(default_factory=list)
    """Their features."""
    labels: list[bool] = field(default_factory=list)
    """Busy or not."""
    links: list[Link] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)

    def add(self, seen: Observation, link: Link, start: float, *, busy_: bool) -> None:
        """One more."""
        self.rows.append(busy.features(seen, link, start))
        self.labels.append(busy_)
        self.links.append(link)
        self.starts.append(start)


def scored(windows: Windows, rng: random.Random) -> Score | None:
    """The AUC of busy against idle windows of a moment; None if too few are surely one or other.

    Labels of one moment are as likely in any order under chance, whatever the classifier was taught
    elsewhere: so chance is 1/2. Moments at which all links are busy, or all idle, say nothing.
    """
    kinds: dict[float, set[bool]] = defaultdict(set)
    for label, start in zip(windows.labels, windows.starts, strict=True):
        kinds[start].add(label)
    asked = sorted(
        (place for place, start in enumerate(windows.starts) if len(kinds[start]) > 1),
        key=lambda place: windows.starts[place],
    )
    labels = np.array(windows.labels, dtype=bool)[asked]
    moments = [windows.starts[place] for place in asked]
    fewer = int(min(labels.sum(), (~labels).sum()))
    if fewer < 2 * busy.FOLDS or len(set(moments)) < 2 * busy.FOLDS:
        return None
    links = [windows.links[place] for place in asked]
    taught = busy.lessons(np.array(windows.rows)[asked], links, moments)
    won, pairs = statistics.duels(busy.scores(taught, labels), labels, moments)
    value = float(won.sum() / pairs.sum())
    low, high = statistics.bootstrap(
        range(len(won)), lambda places: float(won[places].sum() / pairs[places].sum()), rng
    )
    if value == 1.0:  # the bootstrap can't imagine what it hasn't seen
        low = min(low, statistics.clopper_pearson(fewer, fewer)[0])
    null = _of_exchanged(taught, labels, moments, rng)
    # Nor does it know that another load would have taught another classifier; chance does.
    spread = (
        float(np.quantile(np.abs(null - 0.5), statistics.LEVEL)) * 2 * sqrt(value * (1 - value))
    )
    p = (int((null >= value).sum()) + 1) / (len(null) + 1)
    below = (int((null <= value).sum()) + 1) / (len(null) + 1)
    low, high = min(low, value - spread), max(high, value + spread)
    return Score(len(labels), value, 0.5, low, high, p, below=below)


def _of_exchanged(
    taught: Sequence[busy.Lesson],
    labels: NDArray[np.bool_],
    moments: list[float],
    rng: random.Random,
) -> NDArray[np.float64]:
    """What classifiers get that are taught and asked with labels exchanged within moments."""
    generator = np.random.default_rng(rng.getrandbits(64))
    at = np.array(moments)
    found: list[NDArray[np.float64]] = []
    for count in [AT_A_TIME] * (statistics.PERMUTATIONS // AT_A_TIME + 1):
        mixed = np.tile(labels[:, None], (1, count))
        for moment in set(moments):
            mixed[at == moment] = generator.permuted(mixed[at == moment], axis=0)
        won, pairs = statistics.duels(busy.scores(taught, mixed), mixed, moments)
        found.append(won.sum(axis=0) / pairs.sum(axis=0))
    return np.concatenate(found)[: statistics.PERMUTATIONS]


def of_links(seen: Observation, truth: Truth) -> Windows:
    """Of links: busy if a mail came into the web and left it within the window, idle if none that
    takes this link was in the web at all."""
    since, until = seen.span
    found = Windows()
    left = _left(seen, truth)
    for link in seen.links:
        times = [
            (seen.entries[number].mail.end, left[number])
            for number, letter in truth.entries.items()
            if letter.path == link
        ]
        for place in range(int((until - since) / busy.WINDOW)):
            start = since + place * busy.WINDOW
            end = start + busy.WINDOW
            inside = any(start <= came and left <= end for came, left in times)
            if inside or not any(came < end and left > start for came, left in times):
                found.add(seen, link, start, busy_=inside)
    return found


def of_lines(seen: Observation, truth: Truth) -> Windows:
    """Of users' own lines: busy if a mail was handed in and FIRST_SENT over in it, idle if none
    was handed in, nor ALL_SENT before it."""
    since, until = seen.span
    found = Windows()
    for line in seen.packets:
        if line[0] in seen.hops:
            continue
        own = [(one.begun, one.taken) for one in truth.handed if one.user == line[0]]
        for place in range(int((until - since) / busy.WINDOW)):
            start = since + place * busy.WINDOW
            end = start + busy.WINDOW
            inside = any(start <= begun and taken + FIRST_SENT <= end for begun, taken in own)
            if inside or not any(begun < end and taken + ALL_SENT > start for begun, taken in own):
                found.add(seen, line, start, busy_=inside)
    return found


def _left(seen: Observation, truth: Truth) -> dict[int, float]:
    """By when each entry had left the web, for sure.

    Where the text of a mail can't be read in the end: when as many mails had left for its recipient
    as had come in for him, so that none of his was in the web.
    """
    counted: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for number, letter in truth.entries.items():
        counted[letter.recipient].append((seen.entries[number].mail.end, 1))
    for exit_ in seen.exits:
        counted[exit_.recipient].append((exit_.mail.end, -1))
    none: dict[str, list[float]] = {}
    for recipient, events in counted.items():
        times, changes = zip(*sorted(events), strict=True)
        none[recipient] = [t for t, n in zip(times, accumulate(changes), strict=True) if n <= 0]
    found = {}
    for number, letter in truth.entries.items():
        at = truth.exits.get(number)
        if at is not None:
            found[number] = seen.exits[at].mail.end
        else:
            later = (t for t in none[letter.recipient] if t >= seen.entries[number].mail.end)
            found[number] = next(later, seen.span[1])
    return found
