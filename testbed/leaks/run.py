"""Runs the catalogue: webs with several plants in each, one a node, and webs with none."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from docker import DockerClient
from rich.console import Console

from testbed.leaks import score
from testbed.leaks.plant import Plant
from testbed.leaks.score import Clean, Planted, Score
from testbed.report.progress import Phase, Progress
from testbed.report.record import Record
from testbed.topology import Link, Topology
from testbed.verify import verify_web
from testbed.web import Web

MOST = 5
"""Plants in one web, which has one node more: with more of them two cores are so busy that some
spools aren't seized while mail lies in them, and look-ups come early."""


@dataclass(frozen=True)
class Load:
    """A web without a leak, and how many runs go over it (one of `cells` is judged but once)."""

    link: Link
    nodes: int
    pool: str
    runs: int


LOADS = (
    Load(Link.CELLS, 3, "off", 1),
    Load(Link.CELLS, 5, "exponential:1.0", 1),
    Load(Link.TLS, 3, "off", 2),
    Load(Link.CELLS, 4, "exponential:2.0", 1),
    Load(Link.CELLS, 6, "exponential:0.5", 1),
    Load(Link.TLS, 7, "exponential:1.5", 2),
)
"""The clean webs, again and again: each gives another load, and each run another seed."""


@dataclass(frozen=True)
class Bench:
    """Where webs come up: Docker, the images, a name that theirs begin with, a folder."""

    docker: DockerClient
    images: Mapping[str, str]
    name: str
    out: Path

    @contextmanager
    def up(self, topology: Topology, phase: Phase) -> Iterator[Web]:
        """A web for as long as it is needed."""
        phase.note("comes up")
        web = Web(self.docker, topology)
        web.up(self.images, _quiet)
        try:
            yield web
        finally:
            phase.note("goes down")
            web.down()


def run(bench: Bench, plants: Sequence[Plant], clean: int, seed: int, progress: Progress) -> Score:
    """All plants, then so many clean runs."""
    began = time.monotonic()
    rng = random.Random(seed)
    planted = []
    shared = score.webs(plants, MOST)
    for number, some in enumerate(shared, 1):
        name = f"web {number} of {len(shared)}, {len(some)} leaks"
        with progress.phase(name) as phase:
            one = plant_all(bench, f"web-{number}", some, rng.randrange(10**6), phase)
            well = sum(result.well for result in one.results)
            phase.note(f"{well} as it should be" + _more(one))
        planted.append(one)
    cleaned = tuple(clean_runs(bench, clean, rng, progress))
    return Score(tuple(planted), cleaned, seed, time.monotonic() - began)


def _more(run: Planted | Clean) -> str:
    alarms = f", {len(run.alarms)} FALSE ALARMS" if run.alarms else ""
    return alarms + (f", {len(run.open)} rows inconclusive" if run.open else "")


def plant_all(bench: Bench, name: str, plants: Sequence[Plant], seed: int, phase: Phase) -> Planted:
    """Verify one web with a plant at each node but the last, which is clean.

    One that has to be everywhere is judged at one node, and nobody else is asked about it.
    """
    began = time.monotonic()
    kind = plants[0]
    # At least three nodes, for chains: those that have no plant are clean.
    nodes = [node.name for node in Topology(nodes=max(3, len(plants) + 1)).remailers]
    # Shuffled: who stands first in the alphabet talks to whom is not to depend on the catalogue.
    places = random.Random(seed).sample(nodes, len(plants))
    by_node = dict(zip(places, plants, strict=True))
    leaks = {node: plant.name for node, plant in by_node.items()}
    topology = Topology(
        f"{bench.name}-{name}", kind.link, nodes=len(nodes), hosted=kind.hosted,
        leaks=dict.fromkeys(nodes, kind.name) if kind.everywhere else leaks,
    )  # fmt: skip
    with bench.up(topology, phase) as web:
        phase.note(", ".join(plant.title for plant in plants))
        record = verify_web(web, bench.out / name, seed, _silent(), last=True, claims_only=True)
    asked = places if kind.everywhere else nodes
    return judged(name, record, asked, by_node, time.monotonic() - began)


def judged(
    name: str,
    record: Record,
    asked: Sequence[str],
    by_node: Mapping[str, Plant],
    seconds: float,
) -> Planted:
    """What a verdict says of each plant, and of those among `asked` that did nothing."""
    passed_on = frozenset(claim for plant in by_node.values() for claim in plant.passed_on)
    results: list[score.Result] = []
    alarms: list[score.Accusation] = []
    left_open: list[str] = []
    clean = 0
    for node in asked:
        rows = [finding for finding in record.findings if score.node_of(finding) == node]
        own = frozenset[str]()
        if plant := by_node.get(node):
            results.append(score.result(plant, node, rows))
            own = score.explained(plant)
        else:
            clean += len(rows)
        alarms += score.alarms(name, rows, hosted=record.hosted, but=own | passed_on)
        left_open += score.inconclusive(name, rows, but=own)
    return Planted(name, round(seconds, 1), tuple(results), tuple(alarms), tuple(left_open), clean)


def clean_runs(bench: Bench, count: int, rng: random.Random, progress: Progress) -> Iterator[Clean]:
    """Verify webs without a plant, some runs over each; only what went wrong is kept in `out`."""
    seeds = rng.sample(range(10**6), count)
    for at, load in enumerate(cycle(LOADS)):
        here, seeds = seeds[: load.runs], seeds[load.runs :]
        if not here:
            return
        what = f"{load.nodes} nodes on {load.link}, pool {load.pool}"
        with progress.phase(f"clean web, {what}") as phase:
            topology = Topology(
                f"{bench.name}-clean-{at}", load.link, nodes=load.nodes, pool=load.pool
            )
            with bench.up(topology, phase) as web:
                runs = []
                for number, seed in enumerate(here, 1):
                    phase.note(f"run {number} of {len(here)}, seed {seed}")
                    folder = bench.out / f"clean-{seed}"
                    last = number == len(here)
                    record = verify_web(web, folder, seed, _silent(), last=last, claims_only=True)
                    name = f"{what}, seed {seed}"
                    one = Clean(
                        name,
                        score.alarms(name, record.findings),
                        score.inconclusive(name, record.findings),
                    )
                    if not one.alarms and not one.open:
                        shutil.rmtree(folder)
                    runs.append(one)
                    yield one
            phase.note(f"{len(here)} runs" + "".join(map(_more, runs)))


def names(pid: int | None = None) -> str:
    """What the webs of one run of this command are called."""
    return f"leaks-{pid or os.getpid()}"


def _silent() -> Progress:
    return Progress(Console(quiet=True))


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    yield
