"""`make bench`: everything in its order, each pair in one run."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from docker import DockerClient

from testbed import compose
from testbed.bench import hop, peel, up
from testbed.bench.lab import lab
from testbed.bench.record import Bench
from testbed.images import Images
from testbed.report.progress import Progress


@dataclass(frozen=True)
class Plan:
    """How much is measured: the default takes five minutes on two cores."""

    pairs: int = 5
    mails: int = 400
    """In a burst through the hop."""
    layers: int = 100
    """Peeled for one rate."""


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
    what = "a hop, and what else would do it"
    with progress.phase(what) as phase, lab(docker, images, f"{name}-hop", seed) as made:
        hops = hop.measure(made, plan.pairs, plan.mails, phase.note)
    with progress.phase("up") as phase:
        webs = up.measure(docker, images, name, plan.pairs, phase.note)
    return Bench(
        started,
        time.monotonic() - began,
        seed,
        (webs, *hops.comparisons, *layers),
        hops.cost,
        _machine(docker),
        _versions(docker),
    )


def _machine(docker: DockerClient) -> dict[str, str]:
    told = docker.info()
    return {
        "cores": str(told["NCPU"]),
        "memory": f"{told['MemTotal'] / 2**30:.0f} GiB",
        "architecture": platform.machine(),
        "kernel": str(told["KernelVersion"]),
        "storage": str(told["Driver"]),
        "load at the end": " ".join(f"{load:.1f}" for load in os.getloadavg()),
        "placing": "nothing is pinned: node, feeder and sink share all cores, as do their rivals",
    }


def _versions(docker: DockerClient) -> dict[str, str]:
    return {
        "unlogged": metadata.version("unlogged"),
        "python": platform.python_version(),
        "docker": str(docker.version()["Version"]),
        "compose": compose.version(),
    }
