"""Words and numbers that every view of a matrix shares. Pure functions."""

from __future__ import annotations

from testbed.attack.expected import Outcome
from testbed.attack.physical import Search
from testbed.attack.record import Field, Matrix

SIGN = {
    Outcome.AS_EXPECTED: "✓",
    Outcome.OTHERWISE: "✗",
    Outcome.INCONCLUSIVE: "?",
    Outcome.OPEN: "·",
    Outcome.NOT_APPLICABLE: " ",
}

CONTENT = ("content, forward", "content, reply")
"""The two halves of the 1993 argument's table."""


def number(value: float) -> str:
    """A share to two places, without the zero before the point: `.97`, `1.00`, `−.08`."""
    return ("−" if value <= -0.005 else "") + f"{abs(value):.2f}".removeprefix("0")


def interval(field: Field) -> str:
    """`.94 to 1.00`."""
    if field.score is None:
        return ""
    return f"{number(field.score.low)} to {number(field.score.high)}"


def p(value: float) -> str:
    """As precise as permutations make it."""
    return "< .001" if value < 0.001 else f"{value:.3f}".removeprefix("0")


def said(field: Field) -> str:
    """What a field says beside its figures: why, or how much at most, or what it could show."""
    score = field.score
    if field.why or score is None:
        return field.why
    late = score.late and f"cells with mail that are {score.late * 1000:g} ms late"
    if score.leak is not None:
        what = f"a leak of {score.leak:.0%}" + (f", and {late}," if late else "")
        return f"advantage ≤ {number(score.most)} at 95 %; {what} planted in the trace is found"
    if late:
        return f"at most {number(score.high)} at 95 %; in the trace {late} are found"
    if score.planted:
        return f"at most {number(score.high)} at 95 %; what was planted in the trace is found"
    return ""


def headline(matrix: Matrix) -> str:
    """All in one sentence."""
    wrong = len(list(matrix.of(Outcome.OTHERWISE)))
    unsure = len(list(matrix.of(Outcome.INCONCLUSIVE)))
    good = len(list(matrix.of(Outcome.AS_EXPECTED)))
    parts = [f"{good} fields are as expected"]
    if wrong:
        parts.append(f"{wrong} not")
    if unsure:
        parts.append(f"{unsure} inconclusive")
    if tried := {one.plant for one in matrix.searches}:
        found = tried - {one.plant for one in matrix.searches if not one.found}
        parts.append(f"{len(found)} of {len(tried)} plants in nodes are found")
    return ", ".join(parts) + "."


def searched(one: Search) -> str:
    """What came of a plant: `mail-past-pacer-5 (cells, pool off): found by combined: .29 ...`."""
    told = f"{one.plant.title} ({one.tried.stage}, pool {one.tried.pool}): "
    told += f"{'found' if one.found else 'NOT found'} by {one.attack}"
    if one.score is None:
        return f"{told}: {one.tried.trouble or 'too little was seen to ask about'}"
    low, high = number(one.score.low), number(one.score.high)
    return (
        f"{told}: {number(one.score.value)} ({low} to {high}, n {one.score.n}, chance"
        f" {number(one.score.chance)}, p {p(one.p)})"
    )
