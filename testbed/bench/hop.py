"""`hop_1993`, `hop_postfix`: mails a second through one hop, in turn over what else would do it.

The hop: a peer's mail in by TLS, durable before its 250, one PGP layer off, durable again, out by
TLS to the next peer. A sample is a burst of mails, timed from the first connection to the last
arrival at the sink, so that nothing is gained by taking mail faster than it is done with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from testbed.bench import cost
from testbed.bench.compare import Aim, Comparison, joined
from testbed.bench.cost import Cost
from testbed.bench.lab import Lab

AIM_1993 = 3.0
CAPACITY_AIM = 2.0
"""Sink and feeder must be so much faster than what they measure, or they are what is measured."""
SLOW = 4
"""The remailer of 1993 gets so many times fewer mails: its samples would last too long."""


@dataclass(frozen=True)
class Hops:
    """What was measured of the hop."""

    comparisons: list[Comparison]
    cost: Cost


def measure(lab: Lab, pairs: int, mails: int, note: Callable[[str], Any]) -> Hops:
    """All ways in turn, `pairs` times, after a burst each that isn't counted."""
    idle = lab.look()
    counts = {"hop": mails, "gpg": max(mails // SLOW, 1), "postfix": mails}
    counts |= {"sink in TLS": mails, "sink in clear": mails}
    rates: dict[str, list[float]] = {name: [] for name in counts}
    processor: dict[str, list[float]] = {name: [] for name in ("hop", "gpg", "postfix")}
    for name, count in counts.items():
        note(f"warming up: {name}")
        lab.feed(name, max(count // 4, 1))
    for number in range(pairs):
        for name, count in counts.items():
            note(f"pair {number + 1} of {pairs}: {name}")
            before = _processor(lab, name)
            rates[name].append(lab.feed(name, count).rate)
            if before is not None:
                processor[name].append(1000 * (_settled(lab, name) - before) / count)
    note("where the time goes")
    parts = cost.measure(lab, mails)
    return Hops(_comparisons(rates, processor, idle, lab.look()), parts)


_CONTAINER = {"hop": "alpha", "gpg": "gpg", "postfix": "postfix"}


def _processor(lab: Lab, name: str) -> float | None:
    return lab.processor(_CONTAINER[name]) if name in _CONTAINER else None


def _settled(lab: Lab, name: str) -> float:
    """Processor time of a way's container, once the burst's last work is done."""
    if name == "hop":
        lab.look_when_idle()
    return lab.processor(_CONTAINER[name])


def _comparisons(
    rates: dict[str, list[float]],
    processor: dict[str, list[float]],
    idle: dict[str, Any],
    loaded: dict[str, Any],
) -> list[Comparison]:
    ours, old = "one tls hop", "Postfix and gpg, by .forward"
    relay = "Postfix that merely relays it"
    mib = 2.0**20
    return [
        Comparison(
            "hop_1993",
            "mails of 10 KB a second through one tls hop (in, one layer off, durable, out), over a "
            "node of 1993 doing the same",
            ours, old, "mails/s", joined(rates["hop"], rates["gpg"]), aim=AIM_1993,
        ),
        Comparison(
            "hop_postfix",
            "the same hop, over Postfix relaying that mail with a durable queue, without gpg",
            ours, relay, "mails/s", joined(rates["hop"], rates["postfix"]),
        ),
        Comparison(
            "capacity_tls",
            "what feeder and sink can do without a hop between them, in TLS, over the hop",
            "feeder and sink in TLS", ours, "mails/s", joined(rates["sink in TLS"], rates["hop"]),
            aim=CAPACITY_AIM,
        ),
        Comparison(
            "capacity_clear",
            "what feeder and sink can do without a hop between them, in clear, over Postfix",
            "feeder and sink in clear", relay, "mails/s",
            joined(rates["sink in clear"], rates["postfix"]), aim=CAPACITY_AIM,
        ),
        Comparison(
            "processor_1993",
            "processor time that the whole node takes a mail (its cgroup), over the node of 1993",
            ours, old, "ms/mail", joined(processor["hop"], processor["gpg"]), Aim.AT_MOST,
        ),
        Comparison(
            "processor_postfix",
            "processor time that the whole node takes a mail, over Postfix relaying it",
            ours, relay, "ms/mail", joined(processor["hop"], processor["postfix"]), Aim.AT_MOST,
        ),
        Comparison(
            "memory",
            "peak resident memory of the node's processes under all these bursts, over the same "
            "when it had just become ready (pages that processes share count for each)",
            "peak under load", "ready, idle", "MiB",
            ((loaded["peak"] / mib, idle["resident"] / mib),), Aim.AT_MOST,
        ),
    ]  # fmt: skip
