"""The web as a drawing: who talks to whom, and what the wire shows of it. A pure function.

Remailers stand on a circle, users' mail comes in from the left and goes out to the right over port
25, which is readable by nature. Each directed link is one curve; its colour and its dashes say
what the link claims found. There is a `<title>` on everything, and no script or font is fetched.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from math import cos, hypot, pi, sin
from xml.sax.saxutils import escape

from testbed.report import text
from testbed.report.record import Host, Record
from testbed.verdict import Status

WIDTH = 1000
_CENTRE = (500.0, 300.0)
_RING = 246.0
"""Radius of the ring that stands for port 25."""
_NODES_DRAWN_WHOLE = 26
"""In a bigger web the links that hold are counted, not drawn: there are tens of thousands."""
_ARROWS_UP_TO = 10
"""In a bigger web arrow heads would hide the links."""


_NAME_INSIDE = 28
_SIGN_INSIDE = 9
"""Radius of a circle that has room for a name, and for the sign alone."""


class Shown(StrEnum):
    """What the wire shows of a link."""

    SEALED = "sealed"
    READABLE = "readable"
    WEAK = "weak"
    OPEN = "open"


_MEANING = {
    Shown.SEALED: "encrypted: every link claim holds",
    Shown.READABLE: "readable on the wire",
    Shown.WEAK: "encrypted, but a link claim fails",
    Shown.OPEN: "inconclusive, or nothing known",
}

_STYLE = """\
.w-all { --ink: #1f2933; --soft: #66727f; --paper: #ffffff; --box: #f3f5f7; --edge: #b6c0ca;
  --sealed: #1a7f5a; --readable: #c4341c; --weak: #a8560a; --open: #8a6d00;
  font-family: system-ui, "DejaVu Sans", sans-serif; }
@media (prefers-color-scheme: dark) {
  .w-all { --ink: #e4e9ee; --soft: #9ba7b4; --paper: #14191f; --box: #1f262e; --edge: #4a5663;
    --sealed: #4cc38a; --readable: #ff7a62; --weak: #f0a050; --open: #e0c040; } }
.w-all text { fill: var(--ink); font-size: 15px; }
.w-all .w-soft { fill: var(--soft); font-size: 13px; }
.w-all .w-name { text-anchor: middle; font-weight: 600; }
.w-all .w-mid { text-anchor: middle; }
.w-paper { fill: var(--paper); }
.w-frame { fill: none; stroke: var(--edge); stroke-width: 1.5; stroke-dasharray: 2 5; }
.w-box { fill: var(--box); stroke: var(--edge); stroke-width: 1.5; }
.w-link { fill: none; }
.w-sealed { stroke: var(--sealed); }
.w-readable, .w-port25 { stroke: var(--readable); stroke-dasharray: 7 4; }
.w-weak { stroke: var(--weak); stroke-dasharray: 9 3 2 3; }
.w-open { stroke: var(--open); stroke-dasharray: 2 4; }
.w-port25 { fill: none; stroke-width: 1.6; stroke-dasharray: 3 4; }
.w-tip-sealed { fill: var(--sealed); } .w-tip-weak { fill: var(--weak); }
.w-tip-open { fill: var(--open); } .w-tip-readable { fill: var(--readable); }
.w-all .w-sign { text-anchor: middle; font-weight: 700; font-size: 14px; }
.w-all .w-pass { fill: var(--sealed); } .w-all .w-fail { fill: var(--readable); }
.w-all .w-inconclusive { fill: var(--open); }
"""


@dataclass(frozen=True)
class _Place:
    """A node on the drawing."""

    node: Host
    x: float
    y: float
    radius: float


def svg(record: Record) -> str:
    """The drawing, as one complete SVG element that may stand in a file or inside a page."""
    places = _places(record)
    shown = links(record)
    legend = _legend(record, shown)
    height = 626 + 26 * ((len(legend) + 1) // 2)
    parts = [
        f'<svg class="w-all" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
        f' role="img" aria-label="{escape(_caption(record, shown), {chr(34): "&quot;"})}">',
        f"<style>{_STYLE}</style>",
        f"<defs>{_tips()}</defs>",
        f'<rect class="w-paper" width="{WIDTH}" height="{height}" rx="10"/>',
        _bridge(record),
        _port25(record, places),
        *_curves(record, places, shown),
        *(_circle(place, _node_status(record, place.node.name)) for place in places.values()),
        *legend,
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def links(record: Record) -> dict[str, Shown]:
    """What the wire shows of each directed link, by the findings of the link claims."""
    content = record.link_statuses(("link-encrypted", "link-canary"))
    all_claims = record.link_statuses(f.claim for f in record.findings)
    return {link: _shown(content.get(link), status) for link, status in all_claims.items()}


def _shown(content: Status | None, every: Status) -> Shown:
    if content is Status.FAIL:
        return Shown.READABLE
    if content is None or Status.INCONCLUSIVE in (content, every):
        return Shown.OPEN
    if every is Status.FAIL:
        return Shown.WEAK
    return Shown.SEALED if content is Status.PASS else Shown.OPEN


def _places(record: Record) -> dict[str, _Place]:
    total = len(record.nodes)
    ring = 176.0 if total <= 8 else 204.0
    widest = 42.0 if total <= 8 else 30.0
    radius = max(min(widest, 0.4 * 2 * pi * ring / total), 2.0)
    places = {}
    for i, node in enumerate(record.nodes):
        angle = 2 * pi * i / total - pi / 2
        x, y = _CENTRE[0] + ring * cos(angle), _CENTRE[1] + ring * sin(angle)
        places[node.name] = _Place(node, x, y, radius)
    return places


def _node_status(record: Record, name: str) -> Status:
    statuses = {f.status for f in record.findings if f.subject == name}
    worst = (Status.FAIL, Status.INCONCLUSIVE, Status.PASS)
    return next((s for s in worst if s in statuses), Status.NOT_APPLICABLE)


def _curves(record: Record, places: dict[str, _Place], shown: dict[str, Shown]) -> list[str]:
    total = len(places)
    whole = total <= _NODES_DRAWN_WHOLE
    width = 2.2 if total <= 6 else 1.6 if total <= _ARROWS_UP_TO else 0.5
    traffic = {t.link: t for t in record.traffic}
    curves = []
    for link, how in sorted(shown.items(), key=lambda item: item[1] is not Shown.SEALED):
        if not whole and how is Shown.SEALED:
            continue
        start, end = (places[name] for name in link.split(">"))
        tip = f' marker-end="url(#w-tip-{how})"' if total <= _ARROWS_UP_TO else ""
        stroke = width if how is Shown.SEALED else max(width, 1.2)
        title = f"{text.arrow(link)}: {_MEANING[how]}"
        if seen := traffic.get(link):
            title += f"; {text.count(seen.mails, 'mail')}, {text.size(seen.bytes)}"
        curves.append(
            f'<path class="w-link w-{how}" stroke-width="{stroke}" d="{_bow(start, end)}"{tip}>'
            f"<title>{escape(title)}</title></path>"
        )
    return curves


def _bow(start: _Place, end: _Place) -> str:
    """A curve that leaves its chord to the right, so that the two directions lie apart."""
    dx, dy = end.x - start.x, end.y - start.y
    mid = ((start.x + end.x) / 2 - 0.09 * dy, (start.y + end.y) / 2 + 0.09 * dx)
    x1, y1 = _towards(start, mid, start.radius + 2)
    x2, y2 = _towards(end, mid, end.radius + 4)
    return f"M{x1:.1f} {y1:.1f}Q{mid[0]:.1f} {mid[1]:.1f} {x2:.1f} {y2:.1f}"


def _towards(place: _Place, to: tuple[float, float], by: float) -> tuple[float, float]:
    dx, dy = to[0] - place.x, to[1] - place.y
    length = hypot(dx, dy)
    return place.x + dx / length * by, place.y + dy / length * by


def _circle(place: _Place, status: Status) -> str:
    title = f"{place.node.name}, {place.node.address}, {place.node.host}: {text.WORD[status]}"
    parts = [
        f"<g><title>{escape(title)}</title>",
        f'<circle class="w-box" cx="{place.x:.1f}" cy="{place.y:.1f}" r="{place.radius:.1f}"/>',
    ]
    sign = f'class="w-sign w-{status.replace(" ", "-")}" x="{place.x:.1f}"'
    if place.radius >= _NAME_INSIDE:
        size = min(16.0, 3.0 * place.radius / max(len(place.node.name), 5) + 2)
        parts += [
            f'<text class="w-name" style="font-size: {size:.1f}px" x="{place.x:.1f}"'
            f' y="{place.y:.1f}">{escape(place.node.name)}</text>',
            f'<text {sign} y="{place.y + place.radius * 0.55:.1f}">{text.SYMBOL[status]}</text>',
        ]
    elif place.radius >= _SIGN_INSIDE:
        parts += [
            _name_outside(place),
            f'<text {sign} y="{place.y + 5:.1f}">{text.SYMBOL[status]}</text>',
        ]
    return "".join(parts) + "</g>"


def _name_outside(place: _Place) -> str:
    """The name beyond the ring of port 25, where the circles are too small for it."""
    dx, dy = place.x - _CENTRE[0], place.y - _CENTRE[1]
    scale = (_RING + 8) / hypot(dx, dy)
    x, y = _CENTRE[0] + dx * scale, _CENTRE[1] + dy * scale + (14 if dy > 0 else -2)
    side = "middle" if abs(dx) < 0.25 * _RING else "start" if dx > 0 else "end"
    return (
        f'<text style="font-size: 12px; text-anchor: {side}" x="{x:.1f}" y="{y:.1f}">'
        f"{escape(place.node.name)}</text>"
    )


def _port25(record: Record, places: dict[str, _Place]) -> str:
    cx, cy = _CENTRE
    parts = [
        "<g><title>port 25: readable, as ordinary mail is</title>",
        f'<circle class="w-port25" cx="{cx}" cy="{cy}" r="{_RING}"/>',
    ]
    for place in places.values():
        scale = _RING / hypot(place.x - cx, place.y - cy)
        x, y = cx + (place.x - cx) * scale, cy + (place.y - cy) * scale
        inner = _towards(place, (x, y), place.radius)
        parts.append(f'<path class="w-port25" d="M{inner[0]:.1f} {inner[1]:.1f}L{x:.1f} {y:.1f}"/>')
    for host, x, edge in zip(record.mailhosts, (96, 904), (cx - _RING, cx + _RING), strict=False):
        inward = 1 if x < cx else -1
        ends = (x + inward * 66, edge - inward * 6)
        start, end = ends if inward == 1 else (edge + 6, x - 72)
        parts += [
            f'<path class="w-port25" d="M{start} {cy}H{end}" marker-end="url(#w-tip-readable)"/>',
            f'<rect class="w-box" x="{x - 66}" y="{cy - 36}" width="132" height="72" rx="8"/>',
            f'<text class="w-name" x="{x}" y="{cy - 6}">{escape(host.name)}</text>',
            f'<text class="w-soft w-mid" x="{x}" y="{cy + 16}">mail host, logs on</text>',
            f'<text class="w-soft w-mid" x="{(start + end) / 2}" y="{cy + 18}">port 25</text>',
        ]
    return "\n".join(parts) + "</g>"


def _bridge(record: Record) -> str:
    seen = f": {text.captured(record.capture)}" if record.capture else ""
    return (
        f'<rect class="w-frame" x="14" y="14" width="{WIDTH - 28}" height="590" rx="10"/>'
        f'<text class="w-soft" x="30" y="40">{escape(record.web)}, link stage {record.link}, '
        f"pool {escape(record.pool)}</text>"
        f'<text class="w-soft" x="30" y="590">sniffer on the whole bridge{escape(seen)}</text>'
        f'<text class="w-soft" x="{WIDTH - 30}" y="40" text-anchor="end">'
        f"dns {escape(record.dns)}</text>"
    )


def _legend(record: Record, shown: dict[str, Shown]) -> list[str]:
    counted = Counter(shown.values())
    whole = len(record.nodes) <= _NODES_DRAWN_WHOLE
    entries = []
    for how in Shown:
        if counted[how]:
            drawn = "" if whole or how is not Shown.SEALED else ", not drawn"
            words = f"{_MEANING[how]} ({text.count(counted[how], 'link')}{drawn})"
            entries.append((f"w-link w-{how}", words))
    entries.append(("w-port25", "port 25, users' mail: readable at every stage"))
    parts = []
    for i, (style, words) in enumerate(entries):
        x, y = 30 + 480 * (i % 2), 638 + 26 * (i // 2)
        parts.append(
            f'<path class="{style}" stroke-width="2.4" d="M{x} {y - 5}h44"/>'
            f'<text x="{x + 56}" y="{y}">{escape(words)}</text>'
        )
    return parts


def _tips() -> str:
    return "".join(
        f'<marker id="w-tip-{how}" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="9"'
        ' markerHeight="9" markerUnits="userSpaceOnUse" orient="auto">'
        f'<path class="w-tip-{how}" d="M0 0.5L8 4L0 7.5z"/></marker>'
        for how in Shown
    )


def _caption(record: Record, shown: dict[str, Shown]) -> str:
    counted = Counter(shown.values())
    found = ", ".join(f"{counted[how]} {how}" for how in Shown if counted[how])
    return f"{len(record.nodes)} remailers, link stage {record.link}; links: {found or 'none'}"
