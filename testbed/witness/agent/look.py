"""Job `look`: every file in the nodes' mounts, searched for marks, with a control file in each.

Task: nodes {name: pid}, what is sought (sought.py), database (the path of a node's spool). A node's
answer: root {read_only, fstype}, mounts [{point, kind, writable, fstype, folder, bytes, entries,
control}], instead of the last three `why` when that mount could not be looked at; database
{strange: [what]} as it is at rest, or {why}; unlinked [{process, command, fd, target}]: files that
are open and have no name any more; queues (queues.py); processes (how many were looked at).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from testbed.witness.agent import database as spool
from testbed.witness.agent import queues, walk
from testbed.witness.agent.mounts import Mount
from testbed.witness.agent.sought import Sought

REST_WITHIN = 3.0
"""Seconds in which a node's spool has to be at rest; it empties its log when it has no work."""
AGAIN = 0.05
"""Seconds between two looks whether it is."""


def run(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One answer a node."""
    for name, pid in task["nodes"].items():
        try:
            yield {"node": name} | _node(pid, Sought.of(task, name), task["database"])
        except (walk.Unseen, OSError) as error:
            yield {"node": name, "why": str(error)}


def _node(pid: int, sought: Sought, database: str) -> dict[str, Any]:
    found = walk.mounts(pid)
    points = frozenset(mount.point for mount in found)
    root = next(mount for mount in found if mount.point == "/")
    told = []
    for mount in found:
        # A file system in memory that the node can't write to is Docker's cover over a secret.
        if mount.kind in {"mqueue", "disk"} or (mount.kind == "tmpfs" and mount.writable):
            told.append(_told(mount) | _mount(pid, mount, points, sought))
    processes = list(_processes(pid))
    return {
        "root": {"read_only": not root.writable, "fstype": root.fstype},
        "mounts": told,
        "database": _database(pid, database),
        "unlinked": [found for process in processes for found in _unlinked(process)],
        "queues": queues.of_node(pid, walk.lstat(pid, database).st_uid),
        "processes": len(processes),
    }


def _database(pid: int, path: str) -> dict[str, Any]:
    """The spool when its log has been emptied: only then all that is in the file can be told."""
    deadline = time.monotonic() + REST_WITHIN
    while time.monotonic() < deadline:
        before, image = walk.lstat(pid, path), walk.read(pid, path)
        log = 0
        with contextlib.suppress(FileNotFoundError):
            log = walk.lstat(pid, f"{path}-wal").st_size
        after = walk.lstat(pid, path)
        if not log and (before.st_mtime_ns, len(image)) == (after.st_mtime_ns, after.st_size):
            try:
                return {"strange": [*spool.outside(image), *spool.foreign(image)]}
            except (sqlite3.Error, struct.error) as error:
                return {"strange": [f"it can't be read: {error}"]}
        time.sleep(AGAIN)
    return {"why": f"its log was not empty within {REST_WITHIN:.0f} s"}


def _processes(pid: int) -> Iterator[Path]:
    """All processes in the node's mount namespace, as folders of /proc."""
    mine = Path(f"/proc/{pid}/ns/mnt").readlink()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (folder / "ns" / "mnt").readlink() == mine:
                yield folder


def _unlinked(process: Path) -> Iterator[dict[str, Any]]:
    with contextlib.suppress(FileNotFoundError):  # it has ended
        for fd in (process / "fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                target = str(fd.readlink())
                if target.endswith(" (deleted)") and stat.S_ISREG(fd.stat().st_mode):
                    yield {
                        "process": process.name, "command": walk.command(process.name),
                        "fd": fd.name, "target": target,
                    }  # fmt: skip


def _told(mount: Mount) -> dict[str, Any]:
    kind = "tmpfs" if mount.kind == "mqueue" else mount.kind
    return {"point": mount.point, "kind": kind, "writable": mount.writable, "fstype": mount.fstype}


def _mount(pid: int, mount: Mount, points: frozenset[str], sought: Sought) -> dict[str, Any]:
    try:
        mode = os.lstat(walk.inside(pid, mount.point)).st_mode
        folder = stat.S_ISDIR(mode)
        # Without any bit for writing not even root gets in (the old cgroups' folder of folders).
        if not (folder and mode & 0o222 and mount.writable and mount.kind != "mqueue"):
            return {"folder": folder} | _searched(pid, mount, points, sought)
        with walk.control_file(pid, mount, sought.control) as control:
            found = _searched(pid, mount, points, sought)
    except (walk.Unseen, OSError) as error:
        return {"folder": True, "why": str(error)}
    mine = [entry for entry in found["entries"] if entry["path"] == control]
    hits = [(h["form"], h["mark"]) for e in mine for h in e["hits"] if h["place"] == "contents"]
    found["entries"] = [entry for entry in found["entries"] if entry["path"] != control]
    return found | {"folder": True, "control": sought.found(hits)}


def _searched(pid: int, mount: Mount, points: frozenset[str], sought: Sought) -> dict[str, Any]:
    entries, size = [], 0
    for entry in walk.walk(pid, mount, points - {mount.point}):
        # What is removed while we look (a write-ahead log, say) left nothing behind.
        with contextlib.suppress(FileNotFoundError):
            size += walk.search(pid, entry, sought)
            entries.append(entry)
    return {"bytes": size, "entries": [entry.told() for entry in entries]}
