"""Words and numbers that every view of a bench shares. Pure functions."""

from __future__ import annotations

from testbed.bench.compare import Aim, Comparison

_SIGN = {True: "✓", False: "✗", None: "·"}
_COMPARED = {Aim.AT_LEAST: "≥", Aim.AT_MOST: "≤"}


def sign(one: Comparison) -> str:
    """Whether the aim is reached, without colour."""
    return _SIGN[one.reached]


def number(value: float) -> str:
    """Three digits that mean something."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def aim(one: Comparison) -> str:
    """`≥ 3`, or nothing."""
    return "" if one.aim is None else f"{_COMPARED[one.sense]} {one.aim:g}"


def interval(one: Comparison) -> str:
    """`2.90 to 3.41`; of a single pair nothing can be said."""
    if len(one.pairs) < 2:
        return "one pair"
    return " to ".join(number(end) for end in one.interval)
