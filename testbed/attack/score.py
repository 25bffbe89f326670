"""How good an attack's answers are, and what chance would have given: here the truth comes in."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import sqrt
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testbed.attack import busy, statistics
from testbed.attack.match import Costs, posteriors
from testbed.attack.observation import Link, Observation
from testbed.attack.truth import Truth

BLOCK = 10.0
"""Seconds of one hop that are drawn as one by the bootstrap."""
SOON, LATE = 0.5, 2.0
"""Seconds after a proxy took a mail: by then its first cell is on the line, and all of them."""
AT_A_TIME = 500
"""Exchanges of all labels that are in memory together."""


@dataclass(frozen=True)
class Asked:
    """One question: its right answer, whose answers may be exchanged under chance, its block."""

    answer: Hashable
    group: Hashable
    block: Hashable
    person: bool = False
    """The answer is a person, of whom several mails are asked: luck comes several times."""


@dataclass(frozen=True)
class Sets:
    """Anonymity by an attacker's own probabilities: medians over the mails."""

    size: float
    """2^S."""
    degree: float
    min_entropy: float

    @classmethod
    def of(cls, costs: list[Costs]) -> Sets:
        """From an attack's costs, each mail by itself."""
        rows = posteriors(costs)
        return cls(
            median(map(statistics.set_size, rows)),
            median(map(statistics.degree, rows)),
            median(map(statistics.min_entropy, rows)),
        )


@dataclass(frozen=True)
class Crossing:
    """How a mail crosses a hop, as an attacker supposes (seconds of the run), and if it is so."""

    came: float
    went: float
    right: bool


@dataclass(frozen=True)
class Chain:
    """What D reads in logs: who wrote, by which two hops; and whether it is so."""

    sender: str
    first: str
    second: str
    right: bool


@dataclass(frozen=True)
class Score:
    """What an attack got: a share of right answers, or the AUC of a classifier."""

    n: int
    value: float
    chance: float
    low: float
    high: float
    p: float
    """One-sided, by permutation, of this attack alone."""
    sets: Sets | None = None
    leak: float | None = None
    """The smallest share of mails given away that the attack was seen to find in the trace."""
    late: float | None = None
    """Of a classifier: the least seconds by which cells with mail had to be late in the trace for
    it to find them."""
    planted: bool | None = None
    """Whether the attack found what was planted in the trace; None if nothing was."""

    @property
    def advantage(self) -> float:
        """0 at chance, 1 when all is known."""
        return statistics.advantage(self.value, self.chance)

    @property
    def most(self) -> float:
        """The advantage's upper bound."""
        return statistics.advantage(self.high, self.chance)


def of_answers(
    guesses: Mapping[Any, Hashable], asked: Mapping[Any, Asked], rng: random.Random
) -> Score:
    """The share of right answers; a question without an answer is answered wrongly."""
    given = [guesses.get(question) for question in asked]
    wanted = [one.answer for one in asked.values()]
    right = [a == b for a, b in zip(given, wanted, strict=True)]
    chance, p = statistics.permuted(given, wanted, [one.group for one in asked.values()], rng)
    low, high = statistics.share(right, [one.block for one in asked.values()], rng)
    if all(one.person for one in asked.values()):
        p = max(p, statistics.renamed(given, wanted, [one.group for one in asked.values()], rng))
        by_person = statistics.share(right, wanted, rng)
        low, high = min(low, by_person[0]), max(high, by_person[1])
    return Score(len(right), sum(right) / len(right), chance, low, high, p)


def of_trials(guesses: Mapping[Any, Hashable], asked: Mapping[Any, Asked], chance: float) -> Score:
    """The share of right answers in independent trials, each with the same chance."""
    right = sum(guesses.get(question) == one.answer for question, one in asked.items())
    low, high = statistics.clopper_pearson(right, len(asked))
    p = statistics.binomial(right, len(asked), chance)
    return Score(len(asked), right / len(asked), chance, low, high, p)


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


def of_windows(windows: Windows, rng: random.Random) -> Score | None:
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
    return Score(len(labels), value, 0.5, min(low, value - spread), max(high, value + spread), p)


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
    """Of users' own lines: busy if a mail was handed in and SOON over in the window, idle if none
    was handed in, nor LATE before it."""
    since, until = seen.span
    found = Windows()
    for line in seen.packets:
        if line[0] in seen.hops:
            continue
        own = [(one.begun, one.taken) for one in truth.handed if one.user == line[0]]
        for place in range(int((until - since) / busy.WINDOW)):
            start = since + place * busy.WINDOW
            end = start + busy.WINDOW
            inside = any(start <= begun and taken + SOON <= end for begun, taken in own)
            if inside or not any(begun < end and taken + LATE > start for begun, taken in own):
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


# -- the questions -------------------------------------------------------------------------------

Ask = Callable[[Observation, Truth], dict[Hashable, Asked]]


def next_hop(*kinds: str) -> Ask:
    """For each mail of these kinds: which hop did its first hop send it to?"""

    def ask(seen: Observation, truth: Truth) -> dict[Hashable, Asked]:
        return {
            number: Asked(truth.next(number), seen.entries[number].hop, _block(seen, number))
            for number in truth.of_kind(*kinds)
        }

    return ask


def next_hop_of_blocks(seen: Observation, truth: Truth) -> dict[Hashable, Asked]:
    """For each reply block that was used again: where does it lead? Asked of its first use."""
    uses: dict[str, list[int]] = defaultdict(list)
    for number in truth.of_kind("reply", "sealed"):
        uses[truth.entries[number].sender].append(number)
    return {
        own[0]: Asked(truth.next(own[0]), seen.entries[own[0]].hop, _block(seen, own[0]))
        for own in uses.values()
        if len(own) > 1
    }


def next_hop_of_people(seen: Observation, truth: Truth) -> dict[Hashable, Asked]:
    """For each sender, all of whose mails take one path: which hop comes next on it?"""
    return {
        letter.sender: Asked(letter.path[1], letter.path[0], letter.path)
        for letter in truth.entries.values()
        if letter.kind in {"forward", "reply"}
    }


def correspondent(seen: Observation, truth: Truth) -> dict[Hashable, Asked]:
    """For each sender: whom does he write to?"""
    return {
        letter.sender: Asked(letter.recipient, "", letter.path)
        for letter in truth.entries.values()
        if letter.kind in {"forward", "reply"}
    }


def recipient(*kinds: str) -> Ask:
    """For each mail of these kinds: whom is it for?"""

    def ask(seen: Observation, truth: Truth) -> dict[Hashable, Asked]:
        return {
            number: Asked(truth.entries[number].recipient, "", _block(seen, number))
            for number in truth.of_kind(*kinds)
        }

    return ask


def way_out(seen: Observation, truth: Truth) -> dict[Hashable, Asked]:
    """For each mail whose text can be read in the end: which of all that left is it?"""
    return {
        number: Asked(str(exit_), seen.entries[number].hop, _block(seen, number))
        for number, exit_ in truth.exits.items()
    }


def author(*kinds: str) -> Ask:
    """For each mail of these kinds that left and can be read: who wrote it?

    All of one person's mails leave at one hop, so that chance exchanges those who share it.
    """

    def ask(seen: Observation, truth: Truth) -> dict[Hashable, Asked]:
        return {
            number: Asked(
                letter.sender,
                seen.exits[number].hop,
                int((seen.exits[number].mail.end - seen.span[0]) / BLOCK),
                person=True,
            )
            for number, letter in truth.left.items()
            if letter.kind in kinds
        }

    return ask


def _block(seen: Observation, number: int) -> Hashable:
    entry = seen.entries[number]
    return entry.hop, int((entry.mail.end - seen.span[0]) / BLOCK)
