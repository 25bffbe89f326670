"""link-ticks: at a tick a node sends one cell on each of its links, in one order, at once. Pure.

Which cells have mail shows in none of that; so a link that is left out, served twice, late or out
of turn is a mark. A busy machine delays whole ticks, and seldom parts one: how often it does is
measured at the other nodes, in the same run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median_low

from testbed.topology import Topology
from testbed.verdict import Control, Evidence, Finding, judge, some
from testbed.wire.cells import DUE, Flow

CLAIM = "link-ticks"
LATE_SECONDS = 0.010
"""After the tick's first cell: a stock node needs a millisecond for all of them, and sometimes, on
two cores with much else to do, six."""
SHARES = {"left out": 0.05, "twice": 0.05, "out of turn": 0.05, "late": 0.10}
LEAST, TIMES = 3, 3.0
"""A node is accused of what more of its ticks show than that share, than this number of them, and
than the other nodes' (their low median) times so much."""
EVERY = 5
"""Of so many ticks one is altered in the copy in which each kind has to be found."""


@dataclass(frozen=True)
class Tick:
    """The cells of one tick of a node."""

    cells: tuple[tuple[float, str], ...]
    """When each passed, and to whom, in order."""
    up: frozenset[str]
    """The peers whose links were up."""

    @property
    def order(self) -> tuple[str, ...]:
        """To whom they went, one after the other."""
        return tuple(to for _, to in self.cells)


Flows = Mapping[tuple[str, str], Sequence[Flow]]
"""By the addresses of sender and receiver."""


def findings(flows: Flows, topology: Topology, whole: Control) -> list[Finding]:
    """A row a node."""
    names = {node.host: node.name for node in topology.remailers}
    seen = {
        name: ticks({names[b]: own for (a, b), own in flows.items() if a == host}, topology.cells)
        for host, name in names.items()
    }
    shares = {name: _shares(own) for name, own in seen.items()}
    rows = []
    for name, own in seen.items():
        others = [shares[other] for other in seen if other != name]
        usual = {kind: median_low([one[kind] for one in others] or [0.0]) for kind in SHARES}
        rows.append(_row(name, own, usual, topology.cells, whole))
    return rows


def _row(
    name: str, own: Sequence[Tick], usual: Mapping[str, float], rate: float, whole: Control
) -> Finding:
    due = (own[-1].cells[0][0] - own[0].cells[0][0]) * rate if own else 0.0
    odd = {place for found in marks(own).values() for place in found}
    most = max((len(tick.cells) for tick in own), default=0)
    sought = list(ALTERED) if most > 1 else ["twice"]  # one link alone has no turn to miss
    copies = {kind: grouped(_altered(own, ALTERED[kind], min(most, 2)), rate) for kind in sought}
    told = [kind for kind, copy in copies.items() if any(_accused(copy, usual).values())]
    return judge(
        CLAIM, name,
        looked_at=f"{len(own)} ticks on {most} links, {len(own) - len(odd)} of them even",
        controls=[
            whole,
            Control(
                f"at least {DUE:.0%} of the ticks that {rate:g} a second demand are seen",
                bool(own) and len(own) >= DUE * due, f"{len(own)}, {due:.0f} due",
            ),
            Control(
                f"in a copy with one odd tick in {EVERY} each kind is told: {', '.join(sought)}",
                told == sought, ", ".join(told),
            ),
        ],
        evidence=some(list(_evidence(own, _accused(own, usual)))), kind="ticks",
    )  # fmt: skip


def ticks(flows: Mapping[str, Sequence[Flow]], rate: float) -> list[Tick]:
    """A node's ticks; `flows`: what it sent to each peer.

    A connection's first cell says that it is there, and keeps no tick.
    """
    alive = [(to, one.times[1], one.times[-1]) for to, own in flows.items() for one in own
             if len(one.times) > 1]  # fmt: skip
    cells = sorted((at, to) for to, own in flows.items() for one in own for at in one.times[1:])
    return grouped(
        [
            Tick(((at, to),), frozenset(to for to, begin, end in alive if begin <= at <= end))
            for at, to in cells
        ],
        rate,
    )


def grouped(parts: Iterable[Tick], rate: float) -> list[Tick]:
    """The same cells, those together that are within half a period of a first one."""
    groups: list[list[tuple[float, str, frozenset[str]]]] = []
    for at, to, up in sorted((at, to, part.up) for part in parts for at, to in part.cells):
        if not groups or at - groups[-1][0][0] > 0.5 / rate:
            groups.append([])
        groups[-1].append((at, to, up))
    return [
        Tick(tuple((at, to) for at, to, _ in own), own[0][2] | {to for _, to, _ in own})
        for own in groups
    ]


def marks(own: Sequence[Tick]) -> dict[str, dict[int, str]]:
    """By kind: which ticks show it, and what they show."""
    found: dict[str, dict[int, str]] = {kind: {} for kind in SHARES}
    usual = _usual(own)
    for place, tick in enumerate(own):
        times = Counter(tick.order)
        if len(tick.up) > 1 and min(times.values()) > 1 and len(times) == len(tick.up):
            continue  # a late tick and the next
        if lacking := sorted(tick.up - times.keys()):
            found["left out"][place] = f"no cell to {', '.join(lacking)}"
        if twice := sorted(to for to, count in times.items() if count > 1):
            found["twice"][place] = f"two cells to {', '.join(twice)}"
        turns = [usual[to] for to in dict.fromkeys(tick.order) if to in usual]
        if turns != sorted(turns):
            found["out of turn"][place] = f"in the order {', '.join(tick.order)}"
        first = tick.cells[0][0]
        late = [(at - first, to) for at, to in tick.cells if at - first > LATE_SECONDS]
        if late and not twice:
            after, to = late[0]
            found["late"][place] = f"the cell to {to} {1000 * after:.0f} ms after the first"
    return found


def _usual(own: Sequence[Tick]) -> dict[str, int]:
    """Each peer's place in the order that most ticks with all links have."""
    most = max((len(tick.up) for tick in own), default=0)
    whole = [tick.order for tick in own if len(tick.cells) == len(set(tick.order)) == most]
    order = Counter(whole).most_common(1)
    return {to: place for place, to in enumerate(order[0][0])} if order else {}


def _shares(own: Sequence[Tick]) -> dict[str, float]:
    return {kind: len(found) / max(1, len(own)) for kind, found in marks(own).items()}


def _accused(own: Sequence[Tick], usual: Mapping[str, float]) -> dict[str, dict[int, str]]:
    """Of each kind the ticks that show it, if they are too many for a busy machine."""
    return {
        kind: found
        if len(found) >= LEAST and len(found) > len(own) * max(SHARES[kind], TIMES * usual[kind])
        else {}
        for kind, found in marks(own).items()
    }


def _evidence(own: Sequence[Tick], accused: Mapping[str, Mapping[int, str]]) -> Iterator[Evidence]:
    for kind, found in accused.items():
        for place, what in found.items():
            after = own[place].cells[0][0] - own[0].cells[0][0]
            yield Evidence(
                f"{after:.1f} s after its first tick",
                f"{what}; {kind} in {len(found)} of {len(own)} ticks",
            )


# -- what has to be found --------------------------------------------------------------------------


def _altered(own: Sequence[Tick], alter: Callable[[Tick], Tick], least: int) -> list[Tick]:
    return [
        alter(tick) if place % EVERY == 0 and len(tick.cells) >= least else tick
        for place, tick in enumerate(own)
    ]


def _left_out(tick: Tick) -> Tick:
    return replace(tick, cells=tick.cells[:-1])


def _twice(tick: Tick) -> Tick:
    (at, _), to = tick.cells[-1], tick.cells[0][1]
    return replace(tick, cells=(*tick.cells, (at + LATE_SECONDS / 100, to)))


def _exchanged(tick: Tick) -> Tick:
    (first, a), (second, b), *rest = tick.cells
    return replace(tick, cells=((first, b), (second, a), *rest))


def _late(tick: Tick) -> Tick:
    *rest, (at, to) = tick.cells
    return replace(tick, cells=(*rest, (at + 2 * LATE_SECONDS, to)))


ALTERED: dict[str, Callable[[Tick], Tick]] = {
    "left out": _left_out,
    "twice": _twice,
    "out of turn": _exchanged,
    "late": _late,
}
"""Each kind of odd tick, and how it is made of an even one."""
