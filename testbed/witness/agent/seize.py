"""Job `seize`: copies of the nodes' spools, taken while mail lies in them, searched and deleted.

Task: nodes {name: pid}, folder (where a node has its spool), database (the file's name in it),
copies (of each node), apart, spread and within (seconds), words (what no spool may show), what is
sought (sought.py; its control is put beside the copies), and secret (the path of the node's secret,
which stays in this process). A copy counts when it has rows that were not there at the first look.
When all spools were looked at once, it tells {watching}: only then may the load begin. When it has
its copies, it tells {taken}: what comes to lie in the spools from then on is in none of them.
A node's answer: copies [{after, rows, bytes}], rows (different ones in all copies, with what their
logs still show), hits [{file, offset, form, mark, excerpt, start}], strange [{file, what}],
control, numbers [hex] (the rows' names and nonces), opened {rows, piece, mark} of what the secret
opens, looks; or `why`.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from remailer.seal import NONCE
from testbed.witness.agent import database, opening, walk
from testbed.witness.agent.mounts import Mount
from testbed.witness.agent.sought import Sought

AGAIN = 0.02
"""Seconds between two looks at the spools; one whose files did not change is not copied."""

OVERLAP = 4096
"""Bytes before what is new in a file that are searched with it."""


@dataclass
class Copy:
    """One copy of a node's spool."""

    files: dict[str, bytes]
    rows: dict[bytes, bytes]
    """Every row in the database, or in what its log shows of earlier transactions."""
    after: float


@dataclass
class Watched:
    """One node: what was there before, and the copies that have something else."""

    pid: int
    before: set[bytes] | None = None
    copies: list[Copy] = field(default_factory=list)
    stamp: object = None
    why: str = "its spool was never seen with mail of this run in it"
    looks: int = 0


def run(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One answer a node, when there are enough copies of each or the time is over."""
    begun = time.monotonic()
    nodes = {name: Watched(pid) for name, pid in task["nodes"].items()}
    for one in nodes.values():
        _look(one, task, begun)
    yield {"watching": True}
    begun = time.monotonic()
    while (now := time.monotonic() - begun) < task["within"]:
        for one in nodes.values():
            last = one.copies[-1].after + task["apart"] if one.copies else 0.0
            if len(one.copies) < task["copies"] and now >= last:
                _look(one, task, begun)
        least = min((len(one.copies) for one in nodes.values()), default=task["copies"])
        if least >= task["copies"] or (least and now > task["spread"]):
            break
        time.sleep(AGAIN)
    yield {"taken": True}
    for name, one in nodes.items():
        if one.copies:
            sought = Sought.of(task, name)
            told = {"node": name, "looks": one.looks} | searched(one.copies, task, sought)
            yield told | {"opened": _opened(one, task, sought)}
        else:
            yield {"node": name, "why": one.why}


def _look(one: Watched, task: dict[str, Any], begun: float) -> None:
    """Take a copy if something has changed, and keep it if there is mail of this run in it."""
    try:
        stamp = _stamp(one.pid, task)
        if stamp == one.stamp:
            return
        one.looks += 1
        log = f"{task['database']}-wal"
        before = _log(one.pid, f"{task['folder']}/{log}")
        files = files_of(one.pid, task["folder"])
        # Times are too coarse to tell; but a log only grows, until it is in the database.
        if _stamp(one.pid, task)[0] != stamp[0] or not files.get(log, b"").startswith(before):
            return  # the log went into the database meanwhile: torn
        rows = rows_of(files, task["database"])
    except (walk.Unseen, OSError) as error:
        one.why = str(error)
        return
    except (sqlite3.Error, MemoryError):
        return
    one.stamp = stamp
    if one.before is None:
        one.before = set(rows)
    elif set(rows) - one.before:
        one.copies.append(Copy(files, rows, time.monotonic() - begun))


def _log(pid: int, path: str) -> bytes:
    try:
        return walk.read(pid, path)
    except FileNotFoundError:
        return b""


def _stamp(pid: int, task: dict[str, Any]) -> tuple[object, object]:
    """Changes whenever the database, or its log, is written to."""
    stamps = []
    for name in (task["database"], task["database"] + "-wal"):
        try:
            found = walk.lstat(pid, f"{task['folder']}/{name}")
            stamps.append((found.st_ino, found.st_size, found.st_mtime_ns))
        except FileNotFoundError:
            stamps.append((0, 0, 0))
    return stamps[0], stamps[1]


def files_of(pid: int, folder: str) -> dict[str, bytes]:
    """All files of the spool's folder as they are at this moment: the database before its log."""
    found = walk.mounts(pid)
    mount = next((m for m in found if m.point == folder), Mount("", "", folder, True, ""))
    names = [e.path for e in walk.walk(pid, mount, frozenset()) if e.kind == "file"]
    files = {}
    for path in sorted(names):
        # A log that was emptied and removed meanwhile: the next look will do.
        with contextlib.suppress(FileNotFoundError):
            files[path.removeprefix(f"{folder}/")] = walk.read(pid, path)
    return files


def rows_of(files: Mapping[str, bytes], name: str) -> dict[bytes, bytes]:
    """The rows of a copy, with those of its last earlier states. Raises sqlite3.Error if torn."""
    found: dict[bytes, bytes] = {}
    states = database.states(files.get(name, b""), files.get(f"{name}-wal", b""))
    for state in deque(states, database.MOST_STATES):
        if state:
            found |= database.rows(state)
    return found


def searched(copies: list[Copy], task: dict[str, Any], sought: Sought) -> dict[str, Any]:
    """All of the copies, searched with the control beside them."""
    rows = {id_: blob for copy in copies for id_, blob in copy.rows.items()}
    text = sought.control
    found = list(_searched_once(copies, sought))
    beside = sought.found((hit.form, hit.mark) for hit in sought.search(text))
    readable = database.readable(text * (database.PIECE // len(text) + 1))
    strange = [why] if (why := database.ordered(list(rows))) else []
    strange += [what for copy in copies for what in _foreign(copy, task)]
    strange += [
        f"row {id_.hex()}, {why}" for id_, blob in rows.items() if (why := database.readable(blob))
    ]
    return {
        "rows": len(rows),
        "numbers": sorted({number.hex() for copy in copies for number in _numbers(copy, task)}),
        "copies": [
            {"after": c.after, "rows": len(c.rows), "bytes": sum(map(len, c.files.values()))}
            for c in copies
        ],
        "hits": found,
        "strange": list(dict.fromkeys(strange)),
        "control": beside and bool(readable),
    }


def _numbers(copy: Copy, task: dict[str, Any]) -> Iterator[bytes]:
    """What has to be chance in a spool: its rows' names, and the nonces that they begin with."""
    for id_, blob in copy.rows.items():
        yield from (id_, blob[:NONCE])
    with contextlib.suppress(sqlite3.Error):
        for blob in database.uses(_last(copy, task)):
            yield blob[:NONCE]


def _opened(one: Watched, task: dict[str, Any], sought: Sought) -> dict[str, Any]:
    """What the node's secret opens of the copies, or why it can't be tried."""
    try:
        secret = walk.read(one.pid, task["secret"])
    except (walk.Unseen, OSError) as error:
        return {"rows": 0, "piece": "", "mark": "", "why": str(error)}
    return opened(one.copies, task["database"], sought, secret)


def opened(copies: list[Copy], name: str, sought: Sought, secret: bytes) -> dict[str, Any]:
    """How many rows a secret opens by name; the first piece found without one; a mark in either."""
    rows = {id_: blob for copy in copies for id_, blob in copy.rows.items()}
    mails = opening.rows(rows, secret)
    first = next(
        (
            (file, piece)
            for copy in copies
            for file in (f"{name}-wal", name)
            for piece in opening.pieces(
                copy.files.get(file, b""), secret, _used(copy, name, secret)
            )
        ),
        None,
    )
    marks = (hit.mark for mail in mails.values() for hit in sought.marks.plain(mail))
    return {
        "rows": len(mails),
        "piece": f"{first[0]}, byte {first[1].offset}" if first else "",
        "mark": next(marks, ""),
    }


def _used(copy: Copy, name: str, secret: bytes) -> opening.Uses | None:
    with contextlib.suppress(sqlite3.Error):
        return opening.uses(copy.files.get(name, b""), secret)
    return None


def _searched_once(copies: list[Copy], sought: Sought) -> Iterator[dict[str, Any]]:
    """Hits in all files; what a file begins with as it did in the copy before is searched there."""
    last: dict[str, bytes] = {}
    for number, copy in enumerate(copies, 1):
        for name, data in copy.files.items():
            start = max(0, _as_before(last.get(name, b""), data) - OVERLAP)
            last[name] = data
            for hit in sought.search(data[start:]):
                yield hit.moved(start).told() | {"file": f"{name} (copy {number})"}


def _as_before(one: bytes, other: bytes) -> int:
    """Bytes that two files begin with alike, in whole pieces."""
    at = 0
    while at < len(one) and one[at : at + OVERLAP] == other[at : at + OVERLAP]:
        at += OVERLAP
    return min(at, len(other))


def _foreign(copy: Copy, task: dict[str, Any]) -> list[str]:
    try:
        return database.foreign(_last(copy, task))
    except sqlite3.Error as error:
        return [f"it can't be read: {error}"]


def _last(copy: Copy, task: dict[str, Any]) -> bytes:
    """The database as its last transaction left it."""
    name = task["database"]
    states = database.states(copy.files.get(name, b""), copy.files.get(f"{name}-wal", b""))
    return deque(states, 1)[0]
