"""The bench as drawings: the ratios on a logarithmic scale, and a mail's processor time. Pure."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, floor, log10
from xml.sax.saxutils import escape

from testbed.bench.compare import Comparison
from testbed.bench.cost import Cost
from testbed.report.bench_words import aim, interval, number

WIDTH = 1000
_LEFT, _RIGHT, _TOP, _ROW = 190, 960, 40, 30
_COST_HEIGHT = 120

_STYLE = """\
.b-all { --ink: #1f2933; --soft: #66727f; --paper: #ffffff; --edge: #b6c0ca; --good: #1a7f5a;
  --bad: #a8560a; --none: #3566a8; --in: #3566a8; --peel: #1a7f5a; --spool: #a8560a; --out: #7a4fa3;
  font-family: system-ui, "DejaVu Sans", sans-serif; }
@media (prefers-color-scheme: dark) {
  .b-all { --ink: #e4e9ee; --soft: #9ba7b4; --paper: #14191f; --edge: #4a5663; --good: #4cc38a;
    --bad: #f0a050; --none: #7fb0f0; --in: #7fb0f0; --peel: #4cc38a; --spool: #f0a050;
    --out: #c79bf0; } }
.b-all text { fill: var(--ink); font-size: 14px; }
.b-all .b-soft { fill: var(--soft); font-size: 12px; }
.b-all .b-end { text-anchor: end; } .b-all .b-mid { text-anchor: middle; }
.b-paper { fill: var(--paper); }
.b-grid { stroke: var(--edge); stroke-width: 0.6; }
.b-one { stroke: var(--ink); stroke-width: 1.2; }
.b-aim { stroke: var(--ink); stroke-width: 3; }
.b-good { stroke: var(--good); fill: var(--good); }
.b-bad { stroke: var(--bad); fill: var(--bad); }
.b-none { stroke: var(--none); fill: var(--none); }
.b-each { stroke: none; opacity: 0.45; }
.b-in { fill: var(--in); } .b-peel { fill: var(--peel); } .b-spool { fill: var(--spool); }
.b-out { fill: var(--out); }
"""

_KIND = {True: "good", False: "bad", None: "none"}


def ratios(comparisons: tuple[Comparison, ...]) -> str:
    """Each comparison: a line from the lowest to the highest ratio, a dot a pair, a bar the aim."""
    ends = [end for one in comparisons for end in (*one.interval, one.aim or 1.0)]
    low, high = floor(log10(min(ends)) * 2) / 2, ceil(log10(max(ends)) * 2) / 2
    if low == high:
        high += 0.5

    def x(ratio: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * (log10(ratio) - low) / (high - low)

    height = _TOP + _ROW * len(comparisons) + 24
    parts = [_open(height, "ratios of the bench, with their intervals and aims")]
    for tick in _ticks(low, high):
        style = "b-one" if tick == 1 else "b-grid"
        parts.append(
            f'<path class="{style}" d="M{x(tick):.1f} {_TOP - 8}V{height - 20}"/>'
            f'<text class="b-soft b-mid" x="{x(tick):.1f}" y="{_TOP - 14}">{tick:g}</text>'
        )
    for row, one in enumerate(comparisons):
        parts.append(_line(one, x, _TOP + _ROW * row + 14))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _ticks(low: float, high: float) -> list[float]:
    tens = range(floor(low), ceil(high) + 1)
    ticks = [factor * 10.0**ten for ten in tens for factor in (1, 2, 5)]
    return [tick for tick in ticks if 10**low <= tick * 1.0001 and tick <= 10**high * 1.0001]


def _line(one: Comparison, x: Callable[[float], float], y: float) -> str:
    kind = _KIND[one.reached]
    low, high = one.interval
    words = f"{one.id}: {number(one.ratio)}, {interval(one)}; aim {aim(one) or 'none'}"
    parts = [
        f"<g><title>{escape(words)}</title>",
        f'<text class="b-end" x="{_LEFT - 14}" y="{y + 5}">{escape(one.id)}</text>',
        f'<path class="b-{kind}" stroke-width="2" d="M{x(low):.1f} {y}H{x(high):.1f}"/>',
        *(
            f'<circle class="b-{kind} b-each" cx="{x(ratio):.1f}" cy="{y}" r="3"/>'
            for ratio in one.ratios
        ),
        f'<circle class="b-{kind}" cx="{x(one.ratio):.1f}" cy="{y}" r="5"/>',
    ]
    if one.aim is not None:
        parts.append(f'<path class="b-aim" d="M{x(one.aim):.1f} {y - 9}v18"/>')
    return "".join([*parts, "</g>"])


def cost(found: Cost) -> str:
    """The parts of a mail's processor time, side by side as one bar."""
    parts = [_open(_COST_HEIGHT, "processor time a mail, by part")]
    scale = (_RIGHT - 20) / (found.total or 1.0)
    left = 20.0
    for name, ms in found.parts.items():
        wide = ms * scale
        share = ms / (found.total or 1.0)
        words = f"{name}: {ms:.2f} ms a mail, {share:.0%}"
        parts.append(
            f"<g><title>{escape(words)}</title>"
            f'<rect class="b-{name}" x="{left:.1f}" y="20" width="{wide:.1f}" height="44" rx="3"/>'
            f'<text class="b-mid" x="{left + wide / 2:.1f}" y="84">{escape(name)}</text>'
            f'<text class="b-soft b-mid" x="{left + wide / 2:.1f}" y="104">{share:.0%}</text></g>'
        )
        left += wide
    return "\n".join([*parts, "</svg>"]) + "\n"


def _open(height: float, label: str) -> str:
    return (
        f'<svg class="b-all" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
        f' role="img" aria-label="{escape(label)}"><style>{_STYLE}</style>'
        f'<rect class="b-paper" width="{WIDTH}" height="{height}" rx="10"/>'
    )
