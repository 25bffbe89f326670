"""Job `keys`: which nodes can see which nodes' private files. Only hashes are compared, in here.

Task: nodes {name: pid}, folder (where a node has its keys). A node's answer: own (how many of its
private files the search found in its view), private (how many it has), foreign [{path, owner}],
mounted [{point, owner}] for another node's keys in its mounts, uid, capabilities {set: mask},
files (how many names were looked at); or `why`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from testbed.witness.agent import walk
from testbed.witness.agent.mounts import Mount


@dataclass
class Keys:
    """One node's private files: size → hash → path; and what is mounted as its keys' folder."""

    by_size: dict[int, dict[str, str]] = field(default_factory=dict)
    mount: Mount | None = None

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(map(len, self.by_size.values()))


def run(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One answer a node."""
    failed: dict[str, str] = {}
    keys: dict[str, Keys] = {}
    for name, pid in task["nodes"].items():
        try:
            keys[name] = _private(pid, task["folder"])
        except (walk.Unseen, OSError) as error:
            failed[name] = str(error)
    for name, pid in task["nodes"].items():
        try:
            if failed:
                # Whoever's keys could not be read: nobody is known not to have them.
                raise walk.Unseen("; ".join(f"{node}: {why}" for node, why in failed.items()))
            yield {"node": name} | _view(name, pid, keys)
        except (walk.Unseen, OSError) as error:
            yield {"node": name, "why": str(error)}


def _private(pid: int, folder: str) -> Keys:
    """Every file in the keys' folder: also what is public there is this node's own."""
    found = walk.mounts(pid)
    mount = next((m for m in found if m.point == folder), None)
    if mount is None:
        raise walk.Unseen(f"nothing is mounted at {folder}")
    keys = Keys(mount=mount)
    for entry in walk.walk(pid, mount, frozenset()):
        if entry.kind == "file" and entry.size:
            keys.by_size.setdefault(entry.size, {})[_hash(pid, entry.path)] = entry.path
    return keys


def _view(name: str, pid: int, keys: dict[str, Keys]) -> dict[str, Any]:
    found = walk.mounts(pid)
    points = frozenset(mount.point for mount in found)
    sizes = {size for one in keys.values() for size in one.by_size}
    own: set[str] = set()
    foreign, count = [], 0
    for mount in found:
        if mount.kind in {"kernel", "mqueue"}:
            continue
        for entry in walk.walk(pid, mount, points - {mount.point}):
            count += 1
            if entry.kind != "file" or entry.size not in sizes:
                continue
            # A file that goes away meanwhile (the spool's log) was no key.
            with contextlib.suppress(FileNotFoundError):
                digest = _hash(pid, entry.path)
                for owner in keys:
                    if digest in keys[owner].by_size.get(entry.size, {}):
                        if owner == name:
                            own.add(digest)
                        else:
                            foreign.append({"path": entry.path, "owner": owner})
    return {
        "own": len(own), "private": keys[name].count, "foreign": foreign, "files": count,
        "mounted": list(_mounted(name, found, keys)), **_rights(pid),
    }  # fmt: skip


def _mounted(name: str, found: list[Mount], keys: dict[str, Keys]) -> Iterator[dict[str, str]]:
    """Mounts that hold another node's keys' folder, or what is in it."""
    for mount in found:
        for owner, its in keys.items():
            if owner == name or its.mount is None or mount.device != its.mount.device:
                continue
            here, there = PurePosixPath(mount.root), PurePosixPath(its.mount.root)
            if there.is_relative_to(here) or here.is_relative_to(there):
                yield {"point": mount.point, "owner": owner}


def _rights(pid: int) -> dict[str, Any]:
    """The process's user and capabilities (proc_pid_status(5))."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    status = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    return {
        "uids": sorted({int(uid) for uid in status["Uid"]}),
        "capabilities": {name: status[name][0] for name in status if name.startswith("Cap")},
    }


def _hash(pid: int, point: str) -> str:
    with os.fdopen(os.open(walk.inside(pid, point), os.O_RDONLY | os.O_NOFOLLOW), "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
