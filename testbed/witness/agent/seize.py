"""Job `seize`: copies of the nodes' spools, taken while mail lies in them, searched and deleted.

Task: nodes {name: pid}, folder (where a node has its spool), database (the file's name in it),
table (whose rows are mails), within (seconds), prefix (the run's marks), words (what no spool may
show), token (a prefix that is put beside each copy). A node's answer: rows {table: count}, files
{name: bytes}, hits [{file, offset, form, mark, excerpt}], control, after (seconds from the start),
looks (how often it was looked at); or `why`.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.wire.canary import Canaries
from testbed.witness.agent import walk
from testbed.witness.agent.mounts import Mount

AGAIN = 0.1
"""Seconds between two looks at the spools."""

SHORT = 11
"""Letters; of shorter words some forms are so short that they turn up in any ciphertext."""

BESIDE = "control"
"""Name of the control's file beside a copy; no spool file of ours is called so."""


@dataclass
class Seized:
    """One node's copy: the first with mail in it, else the last."""

    files: dict[str, bytes]
    rows: dict[str, int]
    after: float


def run(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One answer a node, when every node was caught with mail or the time is over."""
    begun = time.monotonic()
    caught: dict[str, Seized] = {}
    why = dict.fromkeys(task["nodes"], "its spool was never seen with mail in it")
    looks = 0
    waiting = dict(task["nodes"])
    while waiting and time.monotonic() < begun + task["within"]:
        looks += 1
        for name, pid in list(waiting.items()):
            try:
                files = _files(pid, task["folder"])
                rows = _rows(files, task["database"])
            except (walk.Unseen, OSError) as error:
                why[name] = str(error)
                continue
            if files:
                caught[name] = Seized(files, rows, time.monotonic() - begun)
            if rows.get(task["table"]):
                del waiting[name]
        time.sleep(AGAIN)
    for name in task["nodes"]:
        if name in caught:
            yield {"node": name, "looks": looks} | _searched(caught[name], task)
        else:
            yield {"node": name, "why": why[name]}


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


def _rows(files: Mapping[str, bytes], database: str) -> dict[str, int]:
    """Rows by table; none when the copy was taken in the middle of a change."""
    with tempfile.TemporaryDirectory() as folder:
        for name in (database, f"{database}-wal"):
            if name in files:
                (Path(folder) / name).write_bytes(files[name])
        try:
            with contextlib.closing(sqlite3.connect(Path(folder) / database)) as db:
                tables = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
                return {
                    str(name): int(db.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0])
                    for (name,) in tables.fetchall()
                }
        except sqlite3.Error:
            return {}


def _searched(seized: Seized, task: dict[str, Any]) -> dict[str, Any]:
    """The copy lies on this container's own disk while it is searched, with the control beside."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for name, data in seized.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        (folder / BESIDE).write_text(f"beside the copy: {task['token']}0000b sender.test\n")
        found = [hit for path in sorted(folder.rglob("*")) for hit in _hits(path, folder, task)]
    beside = {hit["mark"] for hit in found if hit["file"] == BESIDE}
    return {
        "rows": seized.rows,
        "files": {name: len(data) for name, data in seized.files.items()},
        "hits": [hit for hit in found if hit["file"] != BESIDE],
        "control": {f"{task['token']}0000b", "sender.test"} <= beside,
        "after": seized.after,
    }


def _hits(path: Path, folder: Path, task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if path.is_dir():
        return
    name, data = str(path.relative_to(folder)), path.read_bytes()
    for prefix in (task["prefix"], task["token"]):
        for hit in Canaries(prefix).search(data):
            yield _told(name, hit.offset, hit.form, hit.mark, hit.excerpt)
    for word in task["words"]:
        for match in re.finditer(re.escape(word.encode()), data, re.IGNORECASE):
            excerpt = data[max(0, match.start() - 40) : match.end() + 60]
            yield _told(name, match.start(), "text", word, excerpt)
        if len(word) < SHORT:
            continue
        for hit in Canaries(word).search(data):
            if hit.form not in {"raw", "upper case"}:
                yield _told(name, hit.offset, hit.form, word, hit.excerpt)


def _told(file: str, offset: int, form: str, mark: str, excerpt: bytes) -> dict[str, Any]:
    text = excerpt.decode("latin-1")
    return {"file": file, "offset": offset, "form": form, "mark": mark, "excerpt": text}
