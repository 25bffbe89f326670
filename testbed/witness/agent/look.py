"""Job `look`: every file in the nodes' mounts, searched for marks, with a control file in each.

Task: nodes {name: pid}, prefix (the run's marks), token (a second prefix, the controls'). A node's
answer: root {read_only, fstype}, mounts [{point, kind, writable, fstype, folder, bytes, entries,
control}]; instead of the last three `why` when that mount could not be looked at.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from typing import Any

from testbed.wire.canary import Canaries
from testbed.witness.agent import walk
from testbed.witness.agent.mounts import Mount


def run(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One answer a node."""
    marks = [Canaries(task["prefix"]), Canaries(task["token"])]
    for name, pid in task["nodes"].items():
        try:
            yield {"node": name} | _node(pid, marks)
        except (walk.Unseen, OSError) as error:
            yield {"node": name, "why": str(error)}


def _node(pid: int, marks: list[Canaries]) -> dict[str, Any]:
    found = walk.mounts(pid)
    points = frozenset(mount.point for mount in found)
    root = next(mount for mount in found if mount.point == "/")
    told = []
    for mount in found:
        # A file system in memory that the node can't write to is Docker's cover over a secret.
        if mount.kind in {"mqueue", "disk"} or (mount.kind == "tmpfs" and mount.writable):
            told.append(_told(mount) | _mount(pid, mount, points, marks))
    return {"root": {"read_only": not root.writable, "fstype": root.fstype}, "mounts": told}


def _told(mount: Mount) -> dict[str, Any]:
    kind = "tmpfs" if mount.kind == "mqueue" else mount.kind
    return {"point": mount.point, "kind": kind, "writable": mount.writable, "fstype": mount.fstype}


def _mount(pid: int, mount: Mount, points: frozenset[str], marks: list[Canaries]) -> dict[str, Any]:
    try:
        mode = os.lstat(walk.inside(pid, mount.point)).st_mode
        folder = stat.S_ISDIR(mode)
        # Without any bit for writing not even root gets in (the old cgroups' folder of folders).
        if not (folder and mode & 0o222 and mount.writable and mount.kind != "mqueue"):
            return {"folder": folder} | _searched(pid, mount, points, marks)
        text = f"a control of the witness: {marks[1].prefix}\n".encode()
        with walk.control_file(pid, mount, text) as control:
            found = _searched(pid, mount, points, marks)
    except (walk.Unseen, OSError) as error:
        return {"folder": True, "why": str(error)}
    mine = [entry for entry in found["entries"] if entry["path"] == control]
    hits = [hit["place"] for entry in mine for hit in entry["hits"] if hit["form"] == "raw"]
    found["entries"] = [entry for entry in found["entries"] if entry["path"] != control]
    return found | {"folder": True, "control": "contents" in hits}


def _searched(
    pid: int, mount: Mount, points: frozenset[str], marks: list[Canaries]
) -> dict[str, Any]:
    entries, size = [], 0
    for entry in walk.walk(pid, mount, points - {mount.point}):
        # What is removed while we look (a write-ahead log, say) left nothing behind.
        with contextlib.suppress(FileNotFoundError):
            size += walk.search(pid, entry, marks)
            entries.append(entry)
    return {"bytes": size, "entries": [entry.told() for entry in entries]}
