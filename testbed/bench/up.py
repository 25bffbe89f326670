"""`up`: a healthy default web, over as many idle containers of the same images.

The idle ones are started as fast as the engine can: through its API, four at a time, on a network
of their own, each merely asleep. What a web has more (keys, names, order, a node that answers) is
what the ratio shows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from docker import DockerClient

from testbed import teardown
from testbed.bench.compare import Aim, Comparison, joined
from testbed.topology import Topology
from testbed.web import Web

AT_A_TIME = 4
"""Containers that are started at a time: more are not faster on two cores."""

AIM = 1.5


def measure(
    docker: DockerClient,
    images: Mapping[str, str],
    name: str,
    pairs: int,
    note: Callable[[str], Any],
) -> Comparison:
    """Bring up and take down, in turn."""
    ours, theirs = [], []
    for number in range(pairs):
        note(f"pair {number + 1} of {pairs}")
        ours.append(_web(docker, images, f"{name}-up"))
        theirs.append(_idle(docker, images, f"{name}-idle"))
    return Comparison(
        "up",
        "time to a healthy default web, over starting as many idle containers of the same images",
        "make up, images there",
        f"idle containers, {AT_A_TIME} at a time",
        "s",
        joined(ours, theirs),
        Aim.AT_MOST,
        AIM,
    )


def _web(docker: DockerClient, images: Mapping[str, str], name: str) -> float:
    web = Web(docker, Topology(name))
    began = time.monotonic()
    try:
        web.up(images, _quiet)
        web.wait_until_healthy()
        return time.monotonic() - began
    finally:
        web.down()


def _idle(docker: DockerClient, images: Mapping[str, str], name: str) -> float:
    labels = {"unlogged.web": name}
    topology = Topology(name)
    wanted = ["remailer"] * topology.nodes + ["mailhost"] * len(topology.mailhosts)
    wanted += ["dns", "sniffer", "witness"]

    def start(image: str) -> None:
        docker.containers.run(
            images[image],
            ["infinity"],
            entrypoint="sleep",
            network=name,
            labels=labels,
            detach=True,
        )

    began = time.monotonic()
    try:
        docker.networks.create(name, internal=True, labels=labels)
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            list(pool.map(start, wanted))
        return time.monotonic() - began
    finally:
        with teardown.uninterrupted():
            teardown.remove_all(docker, name)


@contextmanager
def _quiet(phase: str) -> Iterator[None]:
    yield
