"""Waiting until a node is at rest: nothing in its spool's log, no conversation, no health check."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence

from testbed.witness.agent import kernelfacts, processfacts, walk

AGAIN = 0.05
"""Seconds between two looks."""


def wait(look: Callable[[], str], deadline: float) -> str:
    """Look until there is nothing going on; else what there still was at the deadline."""
    while True:
        busy = look()
        if not busy or time.monotonic() > deadline:
            return busy
        time.sleep(AGAIN)


def of_spool(pid: int, spool: str) -> str:
    """What its spool is at, or nothing: the node empties its log when it has no work."""
    with contextlib.suppress(FileNotFoundError):
        if walk.lstat(pid, f"{spool}-wal").st_size:
            return "its log was not empty"
    return ""


def of_node(pid: int, spool: str, links: Sequence[int] = ()) -> str:
    """What the whole node is at, or nothing; links that are always there are no conversations."""
    if busy := of_spool(pid, spool):
        return busy
    kinds = kernelfacts.sockets(pid, links).values()
    if count := sum(kind.startswith("tcp talking") for kind in kinds):
        return f"it had {count} conversations"
    pids = processfacts.of_container(pid)
    if any(processfacts.executed(one, pids) for one in pids):
        return "something was being executed in it: a health check, say"
    return ""
