"""Processor time a mail, by part: told from outside, by what the kernel counts for each thread.

A node's event loop takes mail in and hands it out, one thread owns the spool, worker processes
peel; the other threads wait at the workers' pipes. So peel and spool are counted as they are. In
and out share the loop: a burst of cover traffic, which is peeled and ends there, gives the one, and
what the loop takes more for a burst that also leaves gives the other. The spool's thread is known
by being the busiest beside the loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from testbed.bench.lab import Lab

METHOD = (
    "Processor time of the node's threads and processes as the kernel counts it, over a burst. "
    "In: the event loop's for cover traffic, which is peeled and goes nowhere. Out: what the loop "
    "takes more for mail that leaves. Peel: worker processes, their starts, and the threads at "
    "their pipes. Spool: its one thread. The kernel's own work for the network is in none."
)


@dataclass(frozen=True)
class Cost:
    """Milliseconds of processor time a mail, by part."""

    parts: dict[str, float]
    mails: int
    """In each of the two bursts."""

    @property
    def total(self) -> float:
        """All parts together."""
        return sum(self.parts.values())

    def as_dict(self) -> dict[str, Any]:
        """For bench.json: each part's share is its ratio to the whole."""
        return {
            "unit": "ms/mail",
            "mails": self.mails,
            "method": METHOD,
            "parts": {
                name: {
                    "ratio": round(ms / self.total, 4) if self.total else 0.0,
                    "ms": round(ms, 4),
                }
                for name, ms in self.parts.items()
            },
        }


def measure(lab: Lab, mails: int) -> Cost:
    """Two bursts: cover traffic, and mail that leaves."""
    before = lab.look_when_idle()
    lab.feed("null", mails)
    between = lab.look_when_idle()
    lab.feed("hop", mails)
    return split(before, between, lab.look_when_idle(), mails)


def split(
    before: dict[str, Any], between: dict[str, Any], after: dict[str, Any], mails: int
) -> Cost:
    """The parts from three looks (agent/processes.py): cover traffic, then mail that leaves."""
    taken_in = between["loop"] - before["loop"]
    through = after["loop"] - between["loop"]
    threads = {
        name: seconds - between["threads"].get(name, 0.0)
        for name, seconds in after["threads"].items()
    }
    spool = max(threads.values(), default=0.0)
    workers = sum(after[kind] - between[kind] for kind in ("workers", "replaced"))
    seconds = {
        "in": taken_in,
        "peel": workers + sum(threads.values()) - spool,
        "spool": spool,
        "out": max(0.0, through - taken_in),
    }
    return Cost({name: 1000 * value / mails for name, value in seconds.items()}, mails)
