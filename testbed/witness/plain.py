"""Claim `process-plain`: titles, environment and limits of a node's processes. No I/O here.

Workers are replaced while a node runs: what is compared is each kind of process, not each process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from testbed.agent import Answer
from testbed.verdict import Control, Evidence, Finding, judge, some
from testbed.wire.canary import Canaries
from testbed.wire.digests import Trail
from testbed.witness.inside import excerpt, marked, unseen
from testbed.witness.moments import Moment

TEXTS = ("command", "environment", "titles", "folders")
"""Where a mark can stand."""

SETTINGS = ("coredump_filter", "oom_score_adj", "personality", "autogroup", "limits")
"""Files of /proc/PID of which each kind of process has always the same."""

Facts = Mapping[str, Any]


def findings(
    trails: Mapping[str, Trail],
    seen: Mapping[Moment, Mapping[str, Answer]],
    token: str,
) -> list[Finding]:
    """A row a node."""
    return [
        row(
            node,
            {moment: seen.get(moment, {}).get(node, {}) for moment in Moment},
            trail,
            token,
        )
        for node, trail in trails.items()
    ]


def row(
    node: str, readings: Mapping[Moment, Answer], trail: Trail | Canaries, token: str
) -> Finding:
    """The row of one node, from its readings at all moments; `token`: the control's mark."""
    for moment, answer in readings.items():
        if "processes" not in answer:
            why = answer.get("why", "it was not read")
            return unseen("process-plain", node, f"{moment}: {why}")
    count = sum(len(answer["processes"]) for answer in readings.values())
    control = readings[Moment.AFTER]["control"]
    marked = {e.where.partition(", ")[2] for e in marks([control], Canaries(token))}
    dumps = list(_dumps(control)) if control else []
    return judge(
        "process-plain",
        node,
        looked_at=f"{count} times a process, {', '.join(readings)}",
        controls=[
            Control(
                "its own process is read at each moment",
                all(answer["processes"] for answer in readings.values()),
            ),
            Control(
                "a mark in the command line and environment of a process of ours is found",
                {"command", "environment"} <= marked,
                ", ".join(sorted(marked)),
            ),
            Control(
                "that it may dump core is found",
                bool(dumps),
                dumps[0].what if dumps else "",
            ),
        ],
        evidence=some(
            [
                *(e for answer in readings.values() for e in marks(answer["processes"], trail)),
                *(
                    found
                    for answer in readings.values()
                    for process in _own(answer)
                    for found in (*_dumps(process), *_swapped(process))
                ),
                *changes(readings),
            ]
        ),
        kind="process",
    )


def marks(processes: Sequence[Facts], trail: Trail | Canaries) -> Iterator[Evidence]:
    """Marks and digests in whatever text a process shows."""
    for process in processes:
        for name in TEXTS:
            value = process.get(name, "")
            shown = value if isinstance(value, str) else "\0".join(value)
            for hit in trail.search(shown.encode("utf-8", "backslashreplace")):
                yield marked(f"process {process['pid']}, {name}", hit.told())


def _own(answer: Answer) -> list[Facts]:
    """The node's processes, without what Docker starts in its container to ask for its health."""
    return [process for process in answer["processes"] if not process["executed"]]


def _dumps(process: Facts) -> Iterator[Evidence]:
    where = f"process {process['pid']} ({excerpt(process['kind'])[:40]})"
    for line in process["files"]["limits"].splitlines():
        if line.startswith("Max core file size") and line.split()[4:6] != ["0", "0"]:
            yield Evidence(where, f"may dump core: {' '.join(line.split())}")


def _swapped(process: Facts) -> Iterator[Evidence]:
    swapped = process["status"].get("VmSwap", "0 kB")
    if not swapped.startswith("0 "):
        yield Evidence(f"process {process['pid']}", f"{swapped} of it are swapped out")


def changes(readings: Mapping[Moment, Answer]) -> Iterator[Evidence]:
    """What a kind of process shows at one moment and did not show before."""
    known: dict[str, dict[str, set[str]]] = {}
    for moment, answer in readings.items():
        now: dict[str, dict[str, set[str]]] = {}
        for process in _own(answer):
            for name, value in shown(process):
                now.setdefault(process["kind"], {}).setdefault(name, set()).add(value)
        for kind, values in now.items():
            if known and kind not in known:
                yield Evidence(f"{moment}: {excerpt(kind)}", "a process that was not there before")
            for name, there in values.items():
                before = known.get(kind, {}).get(name, there)
                for value in sorted(there - before):
                    what = f"{excerpt(value)}, before it was {excerpt(' or '.join(sorted(before)))}"
                    yield Evidence(f"{moment}: {excerpt(kind)[:60]}, {name}", what)
        for kind, values in now.items():
            known.setdefault(kind, values)


def shown(process: Facts) -> Iterator[tuple[str, str]]:
    """All that stays the same for a kind of process: its name and value."""
    yield "environment", process["environment"]
    for title in process["titles"]:
        yield "title of a thread", title
    yield "folders", " ".join(process["folders"])
    yield "can be read by its user", str(process["dumpable"])
    yield "nice", process["scheduling"]["nice"]
    yield "umask", process["status"]["Umask"]
    for name in SETTINGS:
        yield name, process["files"][name]
