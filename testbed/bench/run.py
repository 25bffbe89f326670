"""`make bench`: everything in its order, each pair in one run."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from docker import DockerClient

from testbed.bench import cells, hop, paced, peel, up, watched
from testbed.bench.lab import lab
from testbed.bench.record import Bench
from testbed.images import Images
from testbed.machine import machine, versions
from testbed.report.progress import Progress

PLACING = "nothing is pinned: node, feeder and sink share all cores, as do their rivals"


@dataclass(frozen=True)
class Plan:
    """How much is measured: the default takes nine minutes on two cores."""

    pairs: int = 5
    mails: int = 400
    """In a burst through the hop."""
    layers: int = 100
    """Peeled for one rate."""
    cells: int = 10_000
    """Sent for one rate."""
    idle: float = 6.0
    """Seconds for which nodes are watched doing nothing."""
    rides: int = 12
    """Mails that are timed over links of cells."""
    mesh: int = 10
    """Nodes of the web in which they are, each with a link to each."""


def bench(
    docker: DockerClient, cache: Path, name: str, plan: Plan, seed: int, progress: Progress
) -> Bench:
    """Measure everything; nothing of what was started stays."""
    started, began = datetime.now(UTC), time.monotonic()
    with progress.phase("images") as phase:
        images = Images(docker, cache).ensure(progress=phase.note)
        images |= Images(docker, cache).ensure(["bench"], phase.note)
    with progress.phase("peel") as phase:
        layers = peel.measure(docker, images["bench"], name, plan.pairs, plan.layers, seed)
    with progress.phase("cells"):
        codec = cells.measure(docker, images["bench"], name, plan.pairs, plan.cells)
    what = "a hop, and what else would do it"
    with progress.phase(what) as phase, lab(docker, images, f"{name}-hop", seed) as made:
        hops = hop.measure(made, plan.pairs, plan.mails, phase.note)
        seen = watched.measure(made, images, plan.pairs, plan.mails, phase.note)
    with progress.phase("up") as phase:
        webs = up.measure(docker, images, name, plan.pairs, phase.note)
    with progress.phase("links of cells") as phase:
        links = paced.measure(
            docker, images, name, plan.pairs, plan.idle, plan.rides, plan.mesh, seed, phase.note
        )
    return Bench(
        started,
        time.monotonic() - began,
        seed,
        (webs, *hops.comparisons, seen, *layers, *codec, *links),
        hops.cost,
        machine(docker) | {"placing": PLACING},
        versions(docker),
    )
