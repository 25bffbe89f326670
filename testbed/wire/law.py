"""Do delays follow the pool's law? Exact tests, which a slow machine can't make reject. Pure.

What is seen is the delay and, on top of it, what the node takes to open a mail and to wake up: an
unknown time that does not depend on the delay. So the tests only use what such a time leaves true:

- no delay is sooner than the law: P(T <= t) <= 1 - exp(-t/mean), by a one-sided
  Kolmogorov-Smirnov test; and, given that it takes at most `slack`, none is later;
- no window of width w holds a delay with a chance of more than q = 1 - exp(-w/mean), since adding
  an independent time to a delay can't make it more crowded anywhere. A pool of k symbols puts all
  mails into k narrow windows. That r of n lie in k windows that begin at one of them has, over all
  choices, a chance of at most C(n,k) P(Bin(n-k, kq) >= r-k).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence

from scipy.special import bdtrc, smirnov

ALPHA = 1e-4
"""Chance of a false alarm in a whole run, all nodes together (Holm)."""
MOST_SYMBOLS = 3
"""Pools of so many symbols are looked for; of more it takes more mails to find them."""
WIDTHS = (0.06, 0.12, 0.25, 0.5)
"""Widths of a symbol's window, as shares of the pool's mean."""


def p_law(delays: Sequence[float], mean: float, slack: float) -> float:
    """How likely delays at least this far from the law are."""
    n = len(delays)
    ordered = sorted(delays)
    early = max((i + 1) / n - _within(t, mean) for i, t in enumerate(ordered))
    late = max(_within(t - slack, mean) - i / n for i, t in enumerate(ordered))
    return min(1.0, 2 * min(float(smirnov(n, max(0.0, d))) for d in (early, late)))


def p_symbols(delays: Sequence[float], mean: float) -> float:
    """How likely it is that so many delays lie in so few narrow windows, over all that is tried."""
    counts = range(1, min(MOST_SYMBOLS, len(delays) - 1) + 1)
    tried = [_p_windows(sorted(delays), mean, k, width * mean) for width in WIDTHS for k in counts]
    return min(1.0, len(tried) * min(tried, default=1.0))


def _p_windows(ordered: Sequence[float], mean: float, k: int, width: float) -> float:
    """The bound for k windows of one width: the fullest of those that begin at a delay."""
    n, q = len(ordered), _within(width, mean)
    return math.comb(n, k) * _at_least(_covered(ordered, k, width) - k, n - k, k * q)


def _covered(ordered: Sequence[float], k: int, width: float) -> int:
    """How many of these lie in k windows at most."""
    n = len(ordered)
    ends = [bisect_right(ordered, begin + width) for begin in ordered]
    best = [0] * (n + 1)  # from each place on, with so many windows as there were rounds
    for _ in range(k):
        more = [0] * (n + 1)
        for i in reversed(range(n)):
            more[i] = max(more[i + 1], ends[i] - i + best[ends[i]])
        best = more
    return best[0]


def holm(chances: Sequence[float], alpha: float = ALPHA) -> list[bool]:
    """Which of these tests reject, with at most that chance that any does wrongly."""
    rejected = [False] * len(chances)
    for place, index in enumerate(sorted(range(len(chances)), key=lambda i: chances[i])):
        if chances[index] > alpha / (len(chances) - place):
            break
        rejected[index] = True
    return rejected


def _within(t: float, mean: float) -> float:
    return 1 - math.exp(-t / mean) if t > 0 else 0.0


def _at_least(r: int, n: int, chance: float) -> float:
    """P(Bin(n, chance) >= r)."""
    return 1.0 if r <= 0 else float(bdtrc(r - 1, n, min(chance, 1.0)))
