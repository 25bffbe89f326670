"""The moments of a run at which a node's state is read: what differs between them has been kept.

A run has two loads of different size. BEFORE, BETWEEN and AFTER them all mail has gone, and the
nodes are at rest. Between BETWEEN and AFTER nothing happens to a node but the second load: no
prober, no trace, and no witness's control inside a node's mounts.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from typing import Protocol

from testbed.verdict import Finding


class Moment(StrEnum):
    """When something is read."""

    BEFORE = "before the first load"
    DURING = "during the first load"
    BETWEEN = "between the loads"
    AFTER = "after the second load"


class Look(Protocol):
    """A witness that reads the same several times; it passes over moments that it doesn't need."""

    def look(self, moment: Moment) -> None:
        """Read now. Never raises: what can't be read makes the findings inconclusive."""

    def findings(self) -> list[Finding]:
        """What came of it; called once, after the last moment."""


def look(looks: Sequence[Look], moment: Moment) -> None:
    """Let all of them read, side by side."""
    if looks:
        with ThreadPoolExecutor(len(looks)) as pool:
            list(pool.map(lambda one: one.look(moment), looks))
