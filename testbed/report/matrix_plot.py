"""The matrix as a heat map, and mails on their way through a hop as an attacker sees them. Pure."""

from __future__ import annotations

from xml.sax.saxutils import escape

from testbed.attack.catalogue import ATTACKS
from testbed.attack.expected import Outcome
from testbed.attack.record import Field, Matrix
from testbed.attack.score import Crossing
from testbed.report.matrix_words import SIGN, interval, number, said

WIDTH = 1000
_LEFT, _TOP, _ROW = 180, 62, 30
_PATHS_WIDE, _PATHS_HIGH = 560, 150

_STYLE = """\
.m-all { --ink: #1f2933; --soft: #66727f; --paper: #ffffff; --edge: #b6c0ca; --hot: 178, 58, 38;
  --none: #eef1f4; --right: #b23a26; --wrong: #9aa5b1;
  font-family: system-ui, "DejaVu Sans", sans-serif; }
@media (prefers-color-scheme: dark) {
  .m-all { --ink: #e4e9ee; --soft: #9ba7b4; --paper: #14191f; --edge: #4a5663; --hot: 214, 86, 60;
    --none: #1f262e; --right: #f07a5c; --wrong: #5b6773; } }
.m-all text { fill: var(--ink); font-size: 14px; }
.m-all .m-soft { fill: var(--soft); font-size: 12px; }
.m-all .m-end { text-anchor: end; } .m-all .m-mid { text-anchor: middle; }
.m-all .m-on { fill: #ffffff; }
.m-paper { fill: var(--paper); }
.m-field { fill: var(--none); }
.m-heat { fill: rgb(var(--hot)); }
.m-odd { fill: none; stroke: var(--ink); stroke-width: 2; stroke-dasharray: 4 3; }
.m-line { stroke: var(--edge); stroke-width: 1; }
.m-right { stroke: var(--right); stroke-width: 1.6; fill: var(--right); }
.m-wrong { stroke: var(--wrong); stroke-width: 1.2; stroke-dasharray: 3 3; fill: var(--wrong); }
"""


def heat(matrix: Matrix) -> str:
    """A row an attack, a column a case; the redder, the more beyond chance the attacker knows."""
    wide = (WIDTH - 20 - _LEFT) / len(matrix.cases)
    height = _TOP + _ROW * len(ATTACKS) + 14
    parts = [_open(height, "what each attack gets at each link stage, with the pool off and on")]
    stages = list(dict.fromkeys(case.stage for case in matrix.cases))
    for stage in stages:
        own = [at for at, case in enumerate(matrix.cases) if case.stage == stage]
        middle = _LEFT + wide * (own[0] + own[-1] + 1) / 2
        parts.append(f'<text class="m-mid" x="{middle:.1f}" y="26">{escape(stage)}</text>')
    for at, case in enumerate(matrix.cases):
        word = "pool on" if case.pooled else "pool off"
        parts.append(
            f'<text class="m-soft m-mid" x="{_LEFT + wide * (at + 0.5):.1f}" y="48">{word}</text>'
        )
    for row, attack in enumerate(ATTACKS):
        y = _TOP + _ROW * row
        parts.append(f'<text class="m-end" x="{_LEFT - 12}" y="{y + 19}">{attack.id}</text>')
        for at, field in enumerate(matrix.row(attack)):
            parts.append(_field(field, _LEFT + wide * at, y, wide))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _field(field: Field, x: float, y: float, wide: float) -> str:
    box = f'x="{x + 1.5:.1f}" y="{y + 1.5}" width="{wide - 3:.1f}" height="{_ROW - 3}" rx="4"'
    score = field.score
    words = f"{field.attack.id}, {field.place}: {field.outcome}"
    parts = [f'<rect class="m-field" {box}/>']
    if score is not None:
        hot = min(1.0, max(0.0, score.advantage))
        words += f"; {number(score.value)} ({interval(field)}), n {score.n}. {said(field)}"
        parts.append(f'<rect class="m-heat" fill-opacity="{hot:.2f}" {box}/>')
        on = " m-on" if hot > 0.55 else ""
        parts.append(
            f'<text class="m-mid{on}" x="{x + wide / 2:.1f}" y="{y + 19}">'
            f"{number(score.value)} {SIGN[field.outcome]}</text>"
        )
    if field.outcome in {Outcome.OTHERWISE, Outcome.INCONCLUSIVE}:
        parts.append(f'<rect class="m-odd" {box}/>')
    return f"<g><title>{escape(words)}</title>{''.join(parts)}</g>"


def paths(found: tuple[Crossing, ...], label: str) -> str:
    """Mails into a hop above, out of it below; a line is the attacker's answer, whole if right."""
    parts = [_open(_PATHS_HIGH, label, _PATHS_WIDE)]
    first = min(one.came for one in found)
    last = max(max(one.came, one.went) for one in found)
    scale = (_PATHS_WIDE - 80) / max(1e-9, last - first)
    for y, word in ((36, "in"), (114, "out")):
        parts.append(
            f'<path class="m-line" d="M44 {y}H{_PATHS_WIDE - 16}"/>'
            f'<text class="m-soft m-end" x="36" y="{y + 4}">{word}</text>'
        )
    for one in found:
        kind = "right" if one.right else "wrong"
        above, below = (54 + scale * (at - first) for at in (one.came, one.went))
        parts.append(
            f'<path class="m-{kind}" d="M{above:.1f} 36L{below:.1f} 114"/>'
            f'<circle class="m-{kind}" cx="{above:.1f}" cy="36" r="3.5"/>'
            f'<circle class="m-{kind}" cx="{below:.1f}" cy="114" r="3.5"/>'
        )
    parts.append(
        f'<text class="m-soft m-end" x="{_PATHS_WIDE - 16}" y="140">{last - first:.0f} s</text>'
    )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _open(height: float, label: str, width: float = WIDTH) -> str:
    return (
        f'<svg class="m-all" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        f' role="img" aria-label="{escape(label)}"><style>{_STYLE}</style>'
        f'<rect class="m-paper" width="{width}" height="{height}" rx="10"/>'
    )
