"""Ticks, taught: where does a mail go next, by what cells are like after it came in?

Of some mails the attacker knows it (S sent them). On these he is taught what the next ticks look
like, of the hop and of every hop that it may send to, whatever it is that shows there; then he is
asked about others. Two linear classifiers are added up. One knows of a link only what is the same
everywhere: its own cells, those behind them in their ticks, the receiver's. The other learns each
hop by itself, every link of it for every next hop: who works may be seen at another's cells, and
there early or late.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from testbed.attack.observation import Observation
from testbed.attack.rhythm import AHEAD, Floats, Lateness, lateness

FOLDS = 5
CLIP = 5.0
"""So many times what is usual is as late as can be: a cell that is left out, say."""


@dataclass(frozen=True)
class Pupil:
    """What the attacker has seen after each of some mails."""

    hops: NDArray[np.intp]
    """Of each mail the hop that it came in at, by its place among all hops."""
    nexts: Sequence[Sequence[str]]
    """Of each mail the hops that may come next."""
    links: Floats
    """(mails, next hops, features) of each link, less what all links of the mail have."""
    whole: Floats
    """(mails, features) of all that is seen after a mail."""

    @classmethod
    def of(cls, seen: Observation, numbers: Sequence[int]) -> Pupil:
        """Look at the ticks after these entries."""
        known = {hop: lateness(seen, hop) for hop in seen.hops}
        links, whole, nexts = [], [], []
        for number in numbers:
            hop, came = seen.entries[number].hop, seen.entries[number].mail.end
            to = [other for other in seen.hops if other != hop]
            own, behind = _own(known[hop], came, to)
            theirs = np.array([_together(known[other], came) for other in to])
            rows = np.hstack([own, behind, theirs])
            links.append(rows - rows.mean(axis=0))
            whole.append(np.concatenate([own.ravel(), theirs.ravel()]))
            nexts.append(to)
        places = [seen.hops.index(seen.entries[number].hop) for number in numbers]
        return cls(np.array(places, dtype=np.intp), nexts, np.array(links), np.array(whole))

    def guesses(self, labels: NDArray[np.intp]) -> NDArray[np.intp]:
        """The next hop of each mail, by its place in `nexts`, as a classifier says that was taught
        the `labels` of others. Each column of labels has classifiers of its own."""
        count, most = labels.shape[1], self.links.shape[1]
        taught = (labels[:, None, :] == np.arange(most)[None, :, None]) - 1 / most
        found = np.zeros(taught.shape)
        fold = np.arange(len(labels)) % FOLDS
        for one in range(FOLDS):
            asked, known = fold == one, fold != one
            rows = self.links[known].reshape(-1, self.links.shape[2])
            learnt = _learn(rows) @ taught[known].reshape(-1, count)
            found[asked] += self.links[asked] @ learnt
            for hop in np.unique(self.hops):
                here, there = asked & (self.hops == hop), known & (self.hops == hop)
                usual = self.whole[there].mean(axis=0) if there.any() else 0.0
                learnt = _learn(self.whole[there] - usual) @ taught[there].reshape(-1, most * count)
                own = (self.whole[here] - usual) @ learnt
                found[here] += own.reshape(-1, most, count)
        best: NDArray[np.intp] = found.argmax(axis=1)
        return best


def _learn(rows: Floats) -> Floats:
    """From labels to weights: ridge regression, the more careful the more features there are."""
    features = rows.shape[1]
    return np.linalg.solve(rows.T @ rows + features * np.eye(features), rows.T)


def _own(known: Lateness, came: float, to: Sequence[str]) -> tuple[Floats, Floats]:
    """Of each of these links the next ticks' cells, and the cells behind them in their ticks."""
    rows = _ahead(known, came)
    places = {name: place for place, name in enumerate(known.names)}
    none = np.zeros(AHEAD)
    own = [rows[:, places[name]] if name in places else none for name in to]
    behind = [
        rows[:, places[name] + 1] if places.get(name, -1) + 1 in range(1, rows.shape[1]) else none
        for name in to
    ]
    return np.array(own), np.array(behind)


def _together(known: Lateness, came: float) -> Floats:
    """A hop's next ticks, all its links together."""
    rows = _ahead(known, came)
    return rows.mean(axis=1) if rows.shape[1] else np.zeros(AHEAD)


def _ahead(known: Lateness, came: float) -> Floats:
    """(AHEAD, links) from that moment on; where nothing is seen any more, as usual."""
    first = int(np.searchsorted(known.ticks, came))
    rows = np.clip(known.steps[first : first + AHEAD], -CLIP, CLIP)
    return np.pad(rows, ((0, AHEAD - len(rows)), (0, 0)))
