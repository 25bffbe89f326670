"""`idle`, `idle_mesh`, `goodput`, `latency`: webs with LINK=cells, without mail and with it.

Ticks are what a user waits for and what a link has to give: so a ride is told in ticks, and a large
mail in what the rate allows. The pool is off where mail is timed: all that it takes is the links'.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import pairwise
from statistics import mean, median, quantiles
from typing import Any

from docker import DockerClient
from docker.errors import APIError
from docker.models.containers import Container

from remailer.link import geometry
from testbed import keys
from testbed.bench import inside
from testbed.bench.compare import Aim, Comparison, joined
from testbed.engine import refused
from testbed.topology import Link, Topology
from testbed.web import Web

IDLE_AIM, GOODPUT_AIM, LATENCY_AIM = 0.1, 0.9, 4.0
SETTLE = 3.0
"""Seconds that a web is left alone before it counts as idle: nodes begin links, workers start."""
LINKS = 3
"""Links of cells that a timed mail takes, over one remailer more."""
RIDE_BYTES = 1_000
"""Of a timed mail's text: at each link it fits into a cell."""
PAUSE = 0.8
"""Seconds between two of them at most, half of it at least: each begins somewhere else between two
ticks, and none waits for the answer to the one before."""
RIDDEN_WITHIN = 200.0
LARGE_BYTES = 180_000
"""Of a large mail's text: sixteen cells or so at the first link."""

Ride = tuple[int, float, float]
"""Bytes at the first link, when it was taken, when it arrived."""


def measure(
    docker: DockerClient,
    images: Mapping[str, str],
    name: str,
    pairs: int,
    seconds: float,
    mails: int,
    nodes: int,
    seed: int,
    note: Callable[[str], Any],
) -> list[Comparison]:
    """All of it, in two webs one after the other; `seconds` of idleness, `mails` that are timed,
    `nodes` that are meshed."""
    default = Topology(f"{name}-cells")
    mesh = Topology(f"{name}-mesh", Link.CELLS, nodes, "off", cells=10, witness="plain")
    with _up(docker, images, default, note) as web:
        idle = _idle(web, pairs, seconds)
    with _up(docker, images, mesh, note) as web:
        meshed = _idle(web, pairs, seconds)
        with _rider(web, images["bench"]) as rider:
            note("mails over three links")
            rides = [
                _ride(rider, web, LINKS, mails, RIDE_BYTES, PAUSE, seed + number)
                for number in range(pairs)
            ]
            note("large mails over one link")
            count = geometry.WINDOW * (pairs + 1)
            large = _ride(rider, web, 1, count, LARGE_BYTES, 0.0, seed)
    return [
        share("idle", "the default web", idle),
        share("idle_mesh", f"{nodes} nodes with links of 10 cells a second, each to each,", meshed),
        goodput(large, mesh.cells),
        *latency(rides, mesh.cells),
    ]


def _idle(web: Web, pairs: int, seconds: float) -> list[tuple[float, float]]:
    """Processor seconds of all nodes, and of the machine, so often."""
    time.sleep(SETTLE)
    return [_watched(web, seconds) for _ in range(pairs)]


def _watched(web: Web, seconds: float) -> tuple[float, float]:
    before = _looked(web)
    time.sleep(seconds)
    gone = [
        (taken - taken_before, had - had_before)
        for (taken, had), (taken_before, had_before) in zip(_looked(web), before, strict=True)
    ]
    return sum(taken for taken, _ in gone), mean(had for _, had in gone)


def _looked(web: Web) -> list[tuple[float, float]]:
    """At all nodes at once: Docker takes a second for each."""
    nodes = [web.container(node.name) for node in web.topology.remailers]
    with ThreadPoolExecutor(len(nodes)) as pool:
        return list(pool.map(partial(inside.processors, web.docker), nodes))


def _ride(
    rider: Container, web: Web, links: int, mails: int, size: int, pause: float, seed: int
) -> list[Ride]:
    names = [node.name for node in web.topology.remailers[: links + 1]]
    told = {
        "chain": names, "mails": mails, "bytes": size, "pause": pause, "seed": seed,
        "within": RIDDEN_WITHIN,
    }  # fmt: skip
    return [(size, taken, at) for size, taken, at in inside.told(rider, "ride", json.dumps(told))]


@contextmanager
def _up(
    docker: DockerClient, images: Mapping[str, str], topology: Topology, note: Callable[[str], Any]
) -> Iterator[Web]:
    """A web for as long as it is needed."""
    web = Web(docker, topology)
    try:
        note(f"up: {topology.nodes} nodes, {topology.cells} cells a second")
        web.up(images, lambda _: nullcontext())
        web.wait_until_healthy()
        note(f"{topology.nodes} nodes, {topology.cells} cells a second")
        yield web
    except APIError as error:
        raise refused(error) from None
    finally:
        web.down()


@contextmanager
def _rider(web: Web, image: str) -> Iterator[Container]:
    """Who feeds mail and waits for it, at the prober's address, which nobody has meanwhile."""
    network = f"{web.topology.web}_web"
    address = web.docker.api.create_endpoint_config(ipv4_address=web.topology.prober)
    rider = web.docker.containers.create(
        image, labels={"unlogged.web": web.topology.web}, network=network,
        networking_config={network: address},
    )  # fmt: skip
    try:
        rider.start()
        directory = (web.state / "public" / "directory.json").read_bytes()
        keys.put_file(rider, "/tmp", "directory.json", directory, 0o644)
        yield rider
    finally:
        rider.remove(force=True)


# -- what follows from it -----------------------------------------------------------------------


def share(id_: str, what: str, pairs: Sequence[tuple[float, float]]) -> Comparison:
    """Processor time of nodes that nobody mails to, over what the machine had meanwhile."""
    return Comparison(
        id_, f"processor time of {what} idle on LINK=cells (the nodes' cgroups), over all that the "
        "machine's processors had meanwhile", "the nodes", "the machine", "s", tuple(pairs),
        Aim.AT_MOST, IDLE_AIM,
    )  # fmt: skip


def goodput(rides: Sequence[Ride], cells: int) -> Comparison:
    """Bytes of mail a second over one link, from arrival to arrival, over what its cells hold.

    A sample is as many arrivals as a link has mails under way, since the last of the sample before.
    """
    window = geometry.WINDOW
    ends = [at for _, _, at in rides][window - 1 :: window]
    sizes = [size for size, _, _ in rides]
    rates = [
        sum(sizes[window * place : window * (place + 1)]) / (end - start)
        for place, (start, end) in enumerate(pairwise(ends), 1)
    ]
    most = cells * geometry.DATA
    return Comparison(
        "goodput",
        f"bytes of large mails a second over one link at {cells} cells a second that always has "
        "mail, over cells a second times payload",
        "mail", "payload of all cells", "B/s", joined(rates, [most] * len(rates)), aim=GOODPUT_AIM,
    )  # fmt: skip


def latency(runs: Sequence[Sequence[Ride]], cells: int) -> list[Comparison]:
    """Ticks from being taken by the first remailer to arriving behind the last, over hops."""
    ticks = [[(at - taken) * cells for _, taken, at in rides] for rides in runs]
    told = {
        "latency_p50": [median(one) for one in ticks],
        "latency_p95": [quantiles(one, n=20, method="inclusive")[-1] for one in ticks],
    }
    return [_ridden(id_, found) for id_, found in told.items()]


def _ridden(id_: str, ticks: Sequence[float]) -> Comparison:
    return Comparison(
        id_,
        f"ticks that {id_[-2:]} of 100 mails take at most over {LINKS} links of cells with the "
        f"pool off ({LINKS + 1} remailers, in and out on port 25), over the number of links",
        "ride", "links", "ticks", joined(ticks, [float(LINKS)] * len(ticks)),
        Aim.AT_MOST, LATENCY_AIM,
    )  # fmt: skip
