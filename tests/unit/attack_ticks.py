"""A web that is only simulated, on cells: at each tick of a hop a cell on each of its links."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from attack_web import HOPS, LINKS, Simulated

from testbed.attack.observation import Link, Observation

PERIOD = 0.2
ONE_BEHIND_THE_OTHER, JITTER = 0.0002, 0.0001
WEB = Simulated(mails=8, kinds=("forward",), cells=True, rate=5.0)


def ticked(late: Callable[[Link, float], float], seed: int = 1) -> Observation:
    """The web with cells of twelve packets at ticks of its hops; `late` says by how much one is.

    What is late holds up the links behind it.
    """
    rng = random.Random(seed)
    packets: dict[Link, list[tuple[float, int]]] = {link: [] for link in LINKS}
    for hop in HOPS:
        phase = rng.random() * PERIOD
        links = [link for link in LINKS if link[0] == hop]
        for number in range(int(WEB.end / PERIOD)):
            tick = at = phase + number * PERIOD + abs(rng.gauss(0, JITTER)) * 5
            for link in links:
                at += ONE_BEHIND_THE_OTHER + abs(rng.gauss(0, JITTER)) + late(link, tick)
                packets[link] += [(at + n * 1e-5, 1448) for n in range(12)]
    return replace(WEB.seen, packets={link: tuple(own) for link, own in packets.items()})


def with_mail(seconds: float) -> Callable[[Link, float], float]:
    """The first cell of a link after a mail for it came in is so late."""
    came = {
        link: [WEB.entries[n].mail.end for n, one in enumerate(WEB.letters) if one.path == link]
        for link in LINKS
    }

    def late(link: Link, tick: float) -> float:
        return seconds if any(at <= tick < at + PERIOD for at in came[link]) else 0.0

    return late
