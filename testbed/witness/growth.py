"""Claim `no-growth`: nothing that can be read about a node differs after more mail. No I/O here.

The readings between the loads and after the second one are compared, both of nodes at rest. What
may differ is DECLARED; everything else that does is evidence. What not even the first mails change
is compared with the reading before them, too: a log that is full by then grows no more.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from testbed.agent import Answer
from testbed.contract import DATABASE, SPOOL
from testbed.topology import Link, Topology
from testbed.traffic import Letter
from testbed.verdict import Control, Evidence, Finding, judge, some
from testbed.witness.agent.kernelfacts import TO_ITSELF
from testbed.witness.files import MAIL_LOG
from testbed.witness.forgets import MOMENTS
from testbed.witness.inside import excerpt, unseen
from testbed.witness.moments import Moment

PAGE = 4096
TAGS_A_PAGE = 60
"""At least so many tags of transfers are in a page, once there are more than fit in one."""

_FILE, _LOG = re.escape(f"{SPOOL}/{DATABASE}"), re.escape(f"{SPOOL}/{DATABASE}-wal")

_UNMOVED = re.compile(
    r"(?:open (?:/|anon_inode:)|file locks: |System V |(?:SigQ|SigPnd|ShdPnd|SigBlk) of ).*"
)
"""Quantities of a node and its lasting processes that are the same from its start on."""


@dataclass(frozen=True)
class Declared:
    """Something that may differ, by its name, and why."""

    name: str
    """A regular expression for the whole name of a quantity."""
    what: str
    """For docs/claims.md."""
    pages: bool = False
    """It may only grow, and by no more than the tags of the transfers take."""


DECLARED = (
    Declared(
        rf"(?:{_FILE}|{_LOG}): (?:changed|altered)",
        "the times of the spool's two files, which are those of the last write to them: when the "
        "node last had mail",
    ),
    Declared(
        rf"{_FILE}: (?:size|blocks)|header: pages",
        "the spool's size, by a page for every 60 transfers from other remailers or so: their "
        "tags; and of its blocks on the disk one more or less: ext4 counts its own map of the file "
        "with them, which has a block when the file lies in more than four pieces",
        pages=True,
    ),
)
"""All that more mail may change."""

OF_CELLS = (
    Declared(
        r"sockets: tcp of a link|open socket (tcp of a link|without a name or peer) of "
        r"processes '[^']*multiprocessing\.spawn.*",
        "on `cells`, the pacer's connections: those with peers are there with mail or without, and "
        "calls of peers that are away come and go by a schedule that no mail moves",
    ),
)
"""And what changes by itself where links are always there."""


def findings(
    topology: Topology, seen: Mapping[Moment, Mapping[str, Answer]], letters: Sequence[Letter]
) -> list[Finding]:
    """A row a node."""
    logs = [_log_grows(host.name, seen) for host in topology.mailhosts]
    rows = []
    for node in topology.remailers:
        transfers = sum(node.name in letter.path[1:] for letter in letters)
        readings = [seen.get(m, {}).get(node.name, {}) for m in MOMENTS]
        declared = DECLARED + (OF_CELLS if topology.link is Link.CELLS else ())
        rows.append(row(node.name, readings, transfers, logs, declared))
    return rows


def row(
    node: str,
    readings: Sequence[Answer],
    transfers: int,
    logs: Sequence[Control],
    declared: Sequence[Declared] = DECLARED,
) -> Finding:
    """The row of one node, from its readings at MOMENTS.

    `transfers`: from other remailers, at most, between the last two.
    """
    for answer in readings:
        if "why" in answer or "files" not in answer:
            return unseen("no-growth", node, answer.get("why", "it was not read"))
    first, earlier, later = readings
    one, other = quantities(earlier), quantities(later)
    if earlier["mails"] != later["mails"]:
        # A mail more, or less, takes pages: what they would say is said by the control.
        for told in (one, other):
            for name in [name for name in told if any(_pages(name, d) for d in declared)]:
                del told[name]
    return judge(
        "no-growth",
        node,
        looked_at=f"{len(other):,} quantities, {Moment.BETWEEN} and {Moment.AFTER}; "
        f"{len(unmoved(first)):,} {Moment.BEFORE}",
        controls=[*_readings(first, earlier, later), *logs],
        evidence=some(
            [
                *differences(one, other, transfers, declared),
                *differences(unmoved(first), unmoved(earlier), 0),
                *set_times(later),
                *_to_itself(earlier, later),
            ]
        ),
        kind="growth",
    )


def _readings(first: Answer, earlier: Answer, later: Answer) -> Iterator[Control]:
    for answer, moment in zip((first, earlier, later), MOMENTS, strict=True):
        yield Control(f"it is at rest {moment}", not answer["rest"], answer["rest"])
    mails = earlier["mails"], later["mails"]
    same = mails[0] is not None and mails[0] == mails[1]
    yield Control("as many mails lie in it at both", same, f"{mails[0]} and {mails[1]}")
    there = {path for path in (f"{SPOOL}/{DATABASE}",) if later["files"].get(path, {}).get("size")}
    yield Control("the spool's size and header are read", bool(there and later["header"]))
    mapped = all(any(p["mapped"] for p in one["processes"]) for one in (earlier, later))
    yield Control("the files that its processes have mapped are read", mapped)
    ipc = all("ipc" in answer["kernel"] for answer in (first, earlier, later))
    why = later["kernel"].get("no ipc", "")
    more = "" if ipc else f"{why}: the witness needs the capability SYS_ADMIN"
    yield Control("its System V IPC is read", ipc, more)


def _log_grows(host: str, seen: Mapping[Moment, Mapping[str, Answer]]) -> Control:
    """The twin: by the same reading a mail host's log is found to grow."""
    sizes = [
        seen.get(moment, {}).get(host, {}).get("files", {}).get(MAIL_LOG, {}).get("size", 0)
        for moment in (Moment.BETWEEN, Moment.AFTER)
    ]
    told = f"{MAIL_LOG}: {sizes[0]:,} to {sizes[1]:,} bytes"
    return Control(f"the log of {host} grows", 0 < sizes[0] < sizes[1], told)


def differences(
    one: Mapping[str, str],
    other: Mapping[str, str],
    transfers: int,
    declared: Sequence[Declared] = DECLARED,
) -> Iterator[Evidence]:
    """What differs and is not declared."""
    for name in sorted({*one, *other}):
        was, now = one.get(name, "not there"), other.get(name, "not there")
        if was != now and not _declared(name, was, now, transfers, declared):
            yield Evidence(excerpt(name), f"was {_short(was, now)}, is {_short(now, was)}")


def set_times(answer: Answer) -> Iterator[Evidence]:
    """The spool's times if they are not those of a write: a time can be set to say anything."""
    for name in (DATABASE, f"{DATABASE}-wal"):
        facts = answer["files"].get(f"{SPOOL}/{name}", {})
        if facts.get("changed") != facts.get("altered"):
            what = f"its time was set: changed {facts['changed']}, altered {facts['altered']}"
            yield Evidence(f"{SPOOL}/{name}", what)


def _to_itself(earlier: Answer, later: Answer) -> Iterator[Evidence]:
    """Connections with itself: a health check's was waited for, and a resting node has no other."""
    kinds = earlier["kernel"]["sockets"].keys() & later["kernel"]["sockets"].keys()
    for kind in sorted(kind for kind in kinds if kind.startswith(TO_ITSELF)):
        yield Evidence(f"sockets: {kind}", "bytes that nobody reads may lie in it")


def _short(value: str, other: str) -> str:
    """Of a long list only what the other one has not."""
    shown = excerpt(value)
    if len(shown) >= 60:
        own = Counter(value.split(", ")) - Counter(other.split(", "))
        shown = excerpt(", ".join(own.elements())) or shown
    return shown if len(shown) < 60 else f"{shown[:57]}..."


def _declared(name: str, was: str, now: str, transfers: int, declared: Sequence[Declared]) -> bool:
    for one in declared:
        if re.fullmatch(one.name, name):
            return not one.pages or _few_pages(name, was, now, transfers)
    return False


def _pages(name: str, declared: Declared) -> bool:
    return declared.pages and re.fullmatch(declared.name, name) is not None


def _few_pages(name: str, was: str, now: str, transfers: int) -> bool:
    """A size that has grown by no more pages than so many tags take."""
    kind = name.rpartition(": ")[2]
    unit = {"size": PAGE, "blocks": PAGE // 512}.get(kind, 1)
    if not (was.isdigit() and now.isdigit()):
        return False
    grown, map_of_file = int(now) - int(was), unit * (kind == "blocks")
    return -map_of_file <= grown <= unit * (transfers // TAGS_A_PAGE + 1) + map_of_file


def quantities(answer: Answer) -> dict[str, str]:
    """All of an answer that is compared: name → value."""
    found = {
        f"{path}: {attribute}": str(value)
        for path, facts in answer["files"].items()
        for attribute, value in facts.items()
    }
    found |= {f"header: {field}": str(value) for field, value in answer["header"].items()}
    kernel = answer["kernel"]
    found |= {f"sockets: {kind}": str(count) for kind, count in kernel["sockets"].items()}
    found |= {f"file locks: {lock}": "held" for lock in kernel["locks"]}
    found["queues of its ports"] = str(kernel.get("listeners"))
    found["keys of its user"] = str(kernel["keys"])
    found |= {f"System V {kind}": str(rows) for kind, rows in kernel.get("ipc", {}).items()}
    return found | _of_processes(answer["processes"])


def unmoved(answer: Answer) -> dict[str, str]:
    """What not even the first mails may change."""
    told = quantities(answer | {"processes": [p for p in answer["processes"] if _lasts(p)]})
    return {name: value for name, value in told.items() if _UNMOVED.fullmatch(name)}


def _lasts(process: Mapping[str, Any]) -> bool:
    """Whether it is no worker, which is replaced: of what is spawned only a pacer has TCP."""
    tcp = any(name.startswith("socket tcp") for name in process["descriptors"])
    return tcp or "multiprocessing.spawn" not in process["kind"]


def _of_processes(processes: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Workers are replaced: compared is how many there are of a kind, and what all of them have."""
    kinds: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for process in processes:
        if not process["executed"]:
            kinds[process["kind"]].append(process)
    found: dict[str, str] = {}
    for kind, group in kinds.items():
        name = f"of processes '{kind}'"
        found[f"count {name}"] = str(len(group))
        found[f"threads {name}"] = _all(len(process["titles"]) for process in group)
        for target in {target for process in group for target in process["descriptors"]}:
            counts = (process["descriptors"].get(target, 0) for process in group)
            found[f"open {target} {name}"] = _all(counts)
        lasting = [process for process in group if _lasts(process)]
        for path in {path for process in lasting for path in process["mapped"]}:
            pieces = (piece for process in lasting for piece in process["mapped"].get(path, ()))
            found[f"mapped {path} {name}"] = _all(pieces)
        for facts in ("scheduling", "status"):
            for field in {field for process in group for field in process[facts]}:
                found[f"{field} {name}"] = _all(str(p[facts].get(field)) for p in group)
    return found


def _all(values: Iterator[Any]) -> str:
    return ", ".join(map(str, sorted(values)))
