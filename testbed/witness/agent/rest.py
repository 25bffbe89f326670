"""Waiting until a node is at rest: an empty spool and log, no conversation, no health check."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from testbed.witness.agent import kernelfacts, opening, processfacts, walk

AGAIN = 0.05
"""Seconds between two looks."""

MAIL = "mail lies in it"
"""It may be gone in a moment, when a peer says that it has it; if not, it is told as it lies."""


def wait(look: Callable[[], str], deadline: float) -> str:
    """Look until there is nothing going on; else what there still was at the deadline.

    Mail that still lies in the spool by then may lie there for days: that is rest, too.
    """
    while True:
        busy = look()
        if not busy or time.monotonic() > deadline:
            return "" if busy == MAIL else busy
        time.sleep(AGAIN)


def of_spool(pid: int, spool: str) -> str:
    """What its spool is at, or nothing: the node empties its log when it has no work."""
    with contextlib.suppress(FileNotFoundError):
        if walk.lstat(pid, f"{spool}-wal").st_size:
            return "its log was not empty"
    count = mails(pid, spool)
    return "it was just being written to" if count is None else MAIL if count else ""


def mails(pid: int, spool: str) -> int | None:
    """How many mails lie in its spool; None while that is being written to."""
    try:
        return opening.count(walk.read(pid, spool), "spool")
    except FileNotFoundError:
        return 0
    except sqlite3.Error:
        return None


def talking(kinds: Mapping[str, int]) -> str:
    """What conversations there are among sockets of these kinds, or nothing."""
    count = sum(n for kind, n in kinds.items() if kind.startswith("tcp talking"))
    return f"it had {count} conversations" if count else ""


def of_node(pid: int, spool: str, links: Sequence[int] = ()) -> str:
    """What the whole node is at, or nothing; links that are always there are no conversations."""
    spooling = of_spool(pid, spool)
    if spooling not in ("", MAIL):
        return spooling
    if talks := talking(Counter(kernelfacts.sockets(pid, links).values())):
        return talks
    pids = processfacts.of_container(pid)
    if any(processfacts.executed(one, pids) for one in pids):
        return "something was being executed in it: a health check, say"
    return spooling
