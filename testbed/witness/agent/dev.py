"""Job `dev`: what lies in the nodes' /dev, mount points included, with a socket of ours as control.

Task: nodes {name: pid}. A node's answer: entries, control (was our own socket seen), or `why`.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from testbed.witness.agent import walk
from testbed.witness.agent.mounts import Mount

FOLDER = "/dev"


def run(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One answer a node."""
    for name, pid in task["nodes"].items():
        try:
            yield {"node": name} | _node(pid)
        except (walk.Unseen, OSError) as error:
            yield {"node": name, "why": str(error)}


def _node(pid: int) -> dict[str, Any]:
    found = [mount for mount in walk.mounts(pid) if f"{mount.point}/".startswith(f"{FOLDER}/")]
    points = frozenset(mount.point for mount in found)
    with _control_socket(pid) as control:
        entries = [entry for mount in found for entry in _entries(pid, mount, points)]
    seen = any(entry.path == control and entry.kind == "socket" for entry in entries)
    told = [entry.told() for entry in entries if entry.path != control]
    return {"entries": told, "control": seen}


def _entries(pid: int, mount: Mount, points: frozenset[str]) -> Iterator[walk.Entry]:
    # The terminals of devpts are the kernel's; what is mounted on a single name is told as itself.
    if mount.kind != "kernel":
        yield from walk.walk(pid, mount, points - {mount.point})


@contextlib.contextmanager
def _control_socket(pid: int) -> Iterator[str]:
    """A socket of ours in the node's /dev; its path. Raises OSError when none can be put there."""
    point = f"{FOLDER}/{walk.CONTROL}{secrets.token_hex(4)}"
    path = walk.inside(pid, point)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
        try:
            ours.bind(path)
            yield point
        finally:
            with contextlib.suppress(OSError):
                Path(path).unlink()
