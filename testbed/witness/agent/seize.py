"""Job `seize`: copies of the nodes' spools, taken while mail lies in them, searched and deleted.

Task: nodes {name: pid}, folder (where a node has its spool), database (the file's name in it),
copies (of each node), apart, spread and within (seconds), prefix (the run's marks), words (what no
spool may show), token (a prefix that is put beside the copies). A copy counts when it has rows that
were not there at the first look. A node's answer: copies [{after, rows, bytes}], rows (different
ones in all copies, with what their logs still show), hits [{file, offset, form, mark, excerpt}],
strange [{file, what}], control, looks; or `why`.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from testbed.wire.canary import Canaries
from testbed.witness.agent import database, walk
from testbed.witness.agent.mounts import Mount

AGAIN = 0.02
"""Seconds between two looks at the spools; one whose files did not change is not copied."""

SHORT = 11
"""Letters; of shorter words some forms are so short that they turn up in any ciphertext."""

OVERLAP = 4096
"""Bytes before what is new in a file that are searched with it."""

BESIDE = "control"
"""Name of the control beside the copies; no spool file of ours is called so."""


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
    while (now := time.monotonic() - begun) < task["within"]:
        for one in nodes.values():
            last = one.copies[-1].after + task["apart"] if one.copies else 0.0
            if len(one.copies) < task["copies"] and now >= last:
                _look(one, task, begun)
        least = min((len(one.copies) for one in nodes.values()), default=task["copies"])
        if least >= task["copies"] or (least and now > task["spread"]):
            break
        time.sleep(AGAIN)
    for name, one in nodes.items():
        if one.copies:
            yield {"node": name, "looks": one.looks} | searched(one.copies, task)
        else:
            yield {"node": name, "why": one.why}


def _look(one: Watched, task: dict[str, Any], begun: float) -> None:
    """Take a copy if something has changed, and keep it if there is mail of this run in it."""
    try:
        stamp = _stamp(one.pid, task)
        if stamp == one.stamp:
            return
        one.looks += 1
        files = _files(one.pid, task["folder"])
        if _stamp(one.pid, task)[0] != stamp[0]:
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


def _files(pid: int, folder: str) -> dict[str, bytes]:
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


def searched(copies: list[Copy], task: dict[str, Any]) -> dict[str, Any]:
    """All of the copies, searched with the control beside them."""
    rows = {id_: blob for copy in copies for id_, blob in copy.rows.items()}
    text = f"beside the copy: {task['token']}0000b sender.test\n".encode()
    found = list(_searched_once(copies, task))
    beside = {hit["mark"] for hit in _hits(BESIDE, text, task, task["token"])}
    readable = database.readable(text * (database.PIECE // len(text) + 1))
    strange = [what for copy in copies for what in _foreign(copy, task)]
    strange += [
        f"row {id_.hex()}, {why}" for id_, blob in rows.items() if (why := database.readable(blob))
    ]
    return {
        "rows": len(rows),
        "copies": [
            {"after": c.after, "rows": len(c.rows), "bytes": sum(map(len, c.files.values()))}
            for c in copies
        ],
        "hits": found,
        "strange": list(dict.fromkeys(strange)),
        "control": {f"{task['token']}0000b", "sender.test"} <= beside and bool(readable),
    }


def _searched_once(copies: list[Copy], task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Hits in all files; what a file begins with as it did in the copy before is searched there."""
    last: dict[str, bytes] = {}
    for number, copy in enumerate(copies, 1):
        for name, data in copy.files.items():
            start = max(0, _as_before(last.get(name, b""), data) - OVERLAP)
            last[name] = data
            for hit in _hits(f"{name} (copy {number})", data[start:], task, task["prefix"]):
                yield hit | {"offset": hit["offset"] + start}


def _as_before(one: bytes, other: bytes) -> int:
    """Bytes that two files begin with alike, in whole pieces."""
    at = 0
    while at < len(one) and one[at : at + OVERLAP] == other[at : at + OVERLAP]:
        at += OVERLAP
    return min(at, len(other))


def _foreign(copy: Copy, task: dict[str, Any]) -> list[str]:
    name = task["database"]
    last = deque(database.states(copy.files.get(name, b""), copy.files.get(f"{name}-wal", b"")), 1)
    try:
        return database.foreign(last[0])
    except sqlite3.Error as error:
        return [f"it can't be read: {error}"]


def _hits(name: str, data: bytes, task: dict[str, Any], prefix: str) -> Iterator[dict[str, Any]]:
    for hit in Canaries(prefix).search(data):
        yield _told(name, hit.offset, hit.form, hit.mark, hit.excerpt)
    lower = data.lower()
    for word in task["words"]:
        sought, at = word.lower().encode(), -1
        while (at := lower.find(sought, at + 1)) >= 0:
            yield _told(name, at, "text", word, data[max(0, at - 40) : at + len(sought) + 60])
        if len(word) < SHORT:
            continue
        for hit in Canaries(word).search(data):
            if hit.form not in {"raw", "upper case"}:
                yield _told(name, hit.offset, hit.form, word, hit.excerpt)


def _told(file: str, offset: int, form: str, mark: str, excerpt: bytes) -> dict[str, Any]:
    text = excerpt.decode("latin-1")
    return {"file": file, "offset": offset, "form": form, "mark": mark, "excerpt": text}
