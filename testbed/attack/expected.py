"""What is expected of each attack at each link stage, with the pool off and on; and the judgement.

A table, like testbed/claims.py. That an attack wins is part of the argument where it says so.
"""

from __future__ import annotations

from enum import StrEnum

from testbed.attack.score import Score

WINS_FROM, QUIET_TO = 0.9, 0.55
"""Bounds of adversary and link: where the lower bound must be, and where the upper one."""
WINDOWS = 1000
"""Windows of links from which a classifier's upper bound is asked for: of fewer it is only said."""
ALPHA = 0.05


class Expected(StrEnum):
    """What the interval of a score has to say."""

    WINS = "wins"
    """Its lower bound is .9 or more."""
    BETTER = "better than chance"
    LESS = "no longer wins"
    """Its upper bound is below .9."""
    CHANCE = "at chance"
    """Neither better nor worse than chance, where a planted leak is found."""
    QUIET = "at chance, closely"
    """A classifier is neither better nor worse than chance, where late cells that are planted are
    found; with WINDOWS and more, its upper bound is .55 or less."""
    OPEN = "measured"
    """Nothing is expected; what was measured stands there."""
    NOTHING = "nothing to see"
    """There is nothing to attack: the attack isn't made."""


class Outcome(StrEnum):
    """What a field of the matrix says."""

    AS_EXPECTED = "as expected"
    OTHERWISE = "not as expected"
    INCONCLUSIVE = "inconclusive"
    OPEN = "measured"
    NOT_APPLICABLE = "not applicable"


W, B, L, C, Q, M, N = (
    Expected.WINS, Expected.BETTER, Expected.LESS, Expected.CHANCE, Expected.QUIET, Expected.OPEN,
    Expected.NOTHING,
)  # fmt: skip

HARMLESS = frozenset({L, C, Q})
"""What an attack may only say that finds what is planted."""

STAGES = ("port25", "direct25", "smtp", "tls", "cells", "proxy")
"""The columns: the link stages, and `cells` where users have proxies, too."""


def _row(*pairs: tuple[Expected, Expected]) -> dict[str, tuple[Expected, Expected]]:
    return dict(zip(STAGES, pairs, strict=True))


TABLE: dict[str, dict[str, tuple[Expected, Expected]]] = {
    # Attack → for each stage, what is expected with the pool off and on. On port 25 a mail waits
    # for two mail systems and a process of its own: how long depends on the machine.
    #                          port25  direct25  smtp    tls     cells   proxy
    "logs":                  _row((W, B), (W, B), (N, N), (N, N), (N, N), (N, N)),
    "content, forward":      _row((C, C), (C, C), (C, C), (C, C), (C, C), (N, N)),
    "content, reply":        _row((W, W), (W, W), (W, W), (C, C), (C, C), (N, N)),
    "content, sealed reply": _row((C, C), (C, C), (C, C), (C, C), (C, C), (N, N)),
    "block used again":      _row((B, B), (B, B), (W, B), (C, C), (C, C), (N, N)),
    "size":                  _row((B, B), (B, B), (B, B), (B, B), (C, C), (N, N)),
    "order":                 _row((B, L), (B, L), (B, L), (B, L), (C, C), (N, N)),
    "time":                  _row((M, L), (M, L), (B, L), (B, L), (C, C), (N, N)),
    "combined":              _row((W, B), (W, B), (W, B), (W, B), (C, C), (N, N)),
    "busy or idle":          _row((M, M), (M, M), (W, M), (W, M), (Q, M), (N, N)),
    "late cells":            _row((N, N), (N, N), (N, N), (N, N), (C, C), (N, N)),
    "ticks, taught":         _row((N, N), (N, N), (N, N), (N, N), (C, C), (N, N)),
    "user's line":           _row((N, N), (N, N), (N, N), (N, N), (N, N), (C, C)),
    "flow":                  _row((M, M), (M, M), (B, M), (B, M), (C, C), (N, N)),
    "end to end":            _row((B, B), (B, B), (B, B), (B, B), (B, B), (N, N)),
    "author":                _row((M, M), (M, M), (B, M), (B, M), (B, M), (N, N)),
    "author, padded":        _row((M, M), (M, M), (M, M), (M, M), (M, M), (C, C)),
    "author, all mails":     _row((M, M), (M, M), (M, M), (M, M), (M, M), (C, C)),
    "intersection":          _row((M, M), (M, M), (B, M), (B, M), (M, M), (N, N)),
    "disclosure":            _row((M, M), (M, M), (B, M), (B, M), (M, M), (N, N)),
    "tagging":               _row((B, B), (B, B), (B, B), (B, B), (B, B), (N, N)),
    "n-1":                   _row((B, B), (B, B), (B, B), (B, B), (M, M), (N, N)),
    "n-1, to the end":       _row((B, B), (B, B), (B, B), (B, B), (B, B), (N, N)),
    "colluding":             _row((B, B), (B, B), (B, B), (B, B), (B, B), (N, N)),
}  # fmt: skip


def expected(attack: str, stage: str, *, pool: bool) -> Expected:
    """What the table says."""
    return TABLE[attack][stage][pool]


def judge(
    wanted: Expected, score: Score | None, p: float, below: float = 1.0
) -> tuple[Outcome, str]:
    """What a field says and why, if that needs a word; p of a score as high as this, and of one as
    low, are corrected (Holm; case.py)."""
    if wanted is Expected.NOTHING:
        return Outcome.NOT_APPLICABLE, ""
    if score is None:
        open_ = wanted is Expected.OPEN
        return Outcome.OPEN if open_ else Outcome.INCONCLUSIVE, "too little was seen to ask about"
    if wanted is Expected.OPEN:
        return Outcome.OPEN, ""
    if wanted in {Expected.WINS, Expected.BETTER}:
        won = score.low >= WINS_FROM if wanted is Expected.WINS else p < ALPHA
        # The attack may be at fault as well as the link be better than thought.
        why = "" if won else f"the attack misses what it must find ({_why(wanted)})"
        return (Outcome.AS_EXPECTED if won else Outcome.INCONCLUSIVE), why
    if wanted is Expected.LESS:
        if score.high < WINS_FROM:
            return Outcome.AS_EXPECTED, ""
        above = score.low >= WINS_FROM
        return (Outcome.OTHERWISE, "") if above else (Outcome.INCONCLUSIVE, "too few mails")
    return _at_chance(wanted, score, p, below)


def _why(wanted: Expected) -> str:
    return "lower bound below .9" if wanted is Expected.WINS else "p ≥ .05, corrected"


def _at_chance(wanted: Expected, score: Score, p: float, below: float) -> tuple[Outcome, str]:
    if p < ALPHA:
        return Outcome.OTHERWISE, "better than chance"
    if below < ALPHA:
        return Outcome.OTHERWISE, "worse than chance: turned round, it knows something"
    if not score.planted:
        return Outcome.INCONCLUSIVE, "a planted leak isn't found either"
    if wanted is Expected.QUIET and score.n >= WINDOWS and score.high > QUIET_TO:
        return Outcome.INCONCLUSIVE, f"its upper bound is above {QUIET_TO}"
    return Outcome.AS_EXPECTED, ""
