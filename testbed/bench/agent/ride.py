"""Rides: mails over a chain of remailers to this container, and how long each took.

    python3 -m testbed.bench.agent.ride '{"chain": [names], "mails": n, "bytes": of a text,
        "pause": seconds between two at most (half of it at least), "seed": n, "within": seconds}'

Prints one line of JSON: for each mail, in the order of arrival, the bytes of what the first
remailer hands to the second, when it was taken and when it arrived. It is fed to the first remailer
on port 25, and comes from the last one as to any mail host: this container is HERE in DNS.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
import re
import smtplib
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from remailer.client import chain
from remailer.client.chain import Forward
from remailer.directory import Directory, load
from testbed.bench.agent.sink import Counted, Smtp

HERE = "prober.remailer.test"
DIRECTORY = Path("/tmp/directory.json")
_NUMBER = re.compile(rb"^Subject: ride ([0-9]+)", re.MULTILINE)


@dataclass(frozen=True)
class Rides:
    """What is to be sent."""

    chain: list[str]
    mails: int
    bytes: int
    pause: float
    seed: int
    within: float


@dataclass
class Arrivals(Counted):
    """When each mail came, by its number."""

    at: dict[int, float] = field(default_factory=dict)

    def take(self, mail: bytes) -> None:
        """One more mail."""
        if found := _NUMBER.search(mail):
            self.at.setdefault(int(found[1]), time.monotonic())


def feed(rides: Rides, host: str, made: list[Forward], rng: random.Random) -> list[float]:
    """Hand the mails to the first remailer; when it had taken each."""
    taken = []
    with smtplib.SMTP(host, 25, HERE) as client:
        for number, one in enumerate(made):
            header = f"From: a@{HERE}\r\nTo: {one.recipient}\r\nSubject: {number}\r\n\r\n"
            client.sendmail(f"a@{HERE}", one.recipient, header.encode() + one.body)
            taken.append(time.monotonic())
            time.sleep(rng.uniform(rides.pause / 2, rides.pause))
    return taken


def sealed(rides: Rides, directory: Directory, rng: random.Random) -> list[Forward]:
    """The messages."""
    text = base64.encodebytes(rng.randbytes(rides.bytes * 3 // 4))
    to = [f"bob@{HERE}"]
    return [
        chain.make(directory, rides.chain, to, f"ride {number}", text)
        for number in range(rides.mails)
    ]


async def run(rides: Rides) -> list[tuple[int, float, float]]:
    """Send, and wait until all have arrived. Raises TimeoutError."""
    directory, rng, arrivals = load(DIRECTORY), random.Random(rides.seed), Arrivals()
    first = directory.named(rides.chain[0])
    assert first is not None
    await asyncio.get_running_loop().create_server(lambda: Smtp(arrivals), None, 25)
    made = sealed(rides, directory, rng)
    async with asyncio.timeout(rides.within):
        taken = await asyncio.to_thread(feed, rides, first.hosts[0], made, rng)
        while len(arrivals.at) < rides.mails:
            await asyncio.sleep(0.02)
    return [(made[n].sizes[1], taken[n], at) for n, at in arrivals.at.items()]


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(Rides(**json.loads(sys.argv[1]))))))
