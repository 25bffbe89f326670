"""`make matrix`: for each link stage and pool a web, its mail, and every attack on what was seen.

What a web gave is kept as soon as it is scored: whoever says the same seed again goes on there.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from docker import DockerClient
from pydantic import TypeAdapter, ValidationError

from testbed.attack import load, users
from testbed.attack.case import Case, Recorded, attacked, stage_of
from testbed.attack.load import Posted, Size
from testbed.attack.physical import SENT, Physical, Tried, tried
from testbed.attack.record import Matrix
from testbed.attack.stress import stressed
from testbed.attack.truth import Handed
from testbed.images import Images
from testbed.machine import commit, machine, versions
from testbed.mailbox import POLL, Mailboxes
from testbed.report.progress import Phase, Progress
from testbed.topology import MAX_PROXIED, Link, Topology
from testbed.web import Web
from testbed.wire.capture import Capture
from testbed.wire.dissect import Dissector
from testbed.witness import hops

OFF, ON = "off", "exponential:2.0"
"""The two pools: with the second and a mail a second the effective set is about 2e."""
SIZES = {
    (False, False): Size(padded=3, rounds=2),
    (False, True): Size(forward=50, reply=40, sealed=20, padded=30, tagged=10, rounds=30),
    (True, False): Size(forward=3, reply=2, sealed=2, padded=1, rounds=2, rate=0.4),
    (True, True): Size(forward=30, reply=20, sealed=20, padded=10, tagged=10, rounds=30, rate=0.4),
}
"""By whether a stage is a slow one, and whether the run is the full one. On port 25 each mail is a
process of its own, and two cores bear no more than two mails a second in the whole web.
"""
MOST_PROXIED = 30
"""Mails of each user with a proxy."""
CELLS = 5
"""Cells a second on links of cells: more than by default, so that there is more to see."""
ARRIVE_WITHIN = 90.0
"""Seconds that mail has to arrive, after the last was taken."""

_CASE: TypeAdapter[Case] = TypeAdapter(Case)
_TRIED: TypeAdapter[Tried] = TypeAdapter(Tried)
_ANY: TypeAdapter[Case | Tried] = TypeAdapter(Case | Tried)


@dataclass(frozen=True)
class Plan:
    """What is measured: the quick one takes two minutes or so a case on two quiet cores."""

    stages: tuple[Link, ...] = tuple(Link)
    pools: tuple[str, ...] = (OFF, ON)
    nodes: int = Topology.nodes
    full: bool = False
    size: Size | None = None
    """For all webs alike; None for what each can bear, and has to show."""
    plants: tuple[Physical, ...] = ()
    """Those that are put into nodes."""
    stress: bool = False
    """On a machine that is made busy with something else."""

    def sent(self, stage: Link) -> Size:
        """What is sent at a stage."""
        slow, full = stage.port == 25, self.full
        return self.size or SIZES[slow, full]

    @property
    def proxied(self) -> Size:
        """What users with proxies send: as many mails as come at the other stages, up to a limit
        (each cell on their lines may be one: all pairs of a longer run are too many)."""
        sent = self.sent(Link.CELLS)
        return Size(0, 0, 0, min(sent.mails, MOST_PROXIED), 0, 0, sent.rate)


@dataclass(frozen=True)
class Lab:
    """Where webs come up, and where what each gave is kept."""

    docker: DockerClient
    cache: Path
    name: str
    kept: Path


def matrix(lab: Lab, plan: Plan, seed: int, progress: Progress) -> Matrix:
    """Measure whatever isn't among what is kept; nothing of the webs stays."""
    started, began = datetime.now(UTC), time.monotonic()
    with progress.phase("images") as phase:
        images = Images(lab.docker, lab.cache).ensure(progress=phase.note)
    with stressed() if plan.stress else nullcontext("nothing of ours") as beside:
        found = list(_measured(lab, images, _jobs(lab.name, plan), seed, progress))
    return Matrix(
        started, time.monotonic() - began, seed, plan.full, plan.nodes,
        tuple(one for one in found if isinstance(one, Case)),
        machine(lab.docker) | {"beside it": beside}, versions(lab.docker), commit(),
        tuple(one for one in found if isinstance(one, Tried)),
    )  # fmt: skip


@dataclass(frozen=True)
class Job:
    """One web: what is sent through it, and what is made of it."""

    title: str
    topology: Topology
    size: Size
    plant: Physical | None = None

    @property
    def file(self) -> str:
        """Where what it gave is kept."""
        if self.plant:
            return f"plant-{self.plant.name}.json"
        return f"{stage_of(self.topology)}-{self.topology.pool.partition(':')[0]}.json"

    def judged(self, got: Recorded, seed: int, seconds: float) -> Case | Tried:
        """Let the attacks try."""
        if self.plant:
            return tried(self.plant, got, seed, seconds)
        return attacked(got, seed, seconds)

    def known(self, folder: Path) -> Case | Tried | None:
        """What an earlier run with the same seed has measured."""
        kind = _TRIED if self.plant else _CASE
        try:
            return kind.validate_json((folder / self.file).read_bytes())
        except (OSError, ValidationError):
            return None


def _jobs(name: str, plan: Plan) -> list[Job]:
    """All webs of a plan: first the stock ones, then those with a plant at every node."""
    jobs = []
    for stage in plan.stages:
        for pool in plan.pools:
            topology = Topology(name, stage, plan.nodes, pool, cells=CELLS)
            jobs.append(Job(f"{stage}, pool {pool}", topology, plan.sent(stage)))
    proxied = Link.CELLS in plan.stages and plan.nodes <= MAX_PROXIED
    for pool in plan.pools if proxied else ():
        topology = Topology(name, Link.CELLS, plan.nodes, pool, cells=CELLS, proxies=True)
        jobs.append(Job(f"users with proxies, pool {pool}", topology, plan.proxied))
    for plant in plan.plants:
        topology = Topology(name, plant.link, plan.nodes, plant.pool, cells=CELLS)
        leaks = {node.name: plant.name for node in topology.remailers}
        topology = replace(topology, leaks=leaks)
        jobs.append(Job(f"plant {plant.title}", topology, plan.size or SENT, plant))
    return jobs


def _measured(
    lab: Lab, images: dict[str, str], jobs: Sequence[Job], seed: int, progress: Progress
) -> Iterator[Case | Tried]:
    """What each web gave, which is kept as soon as it is there."""
    known = [job.known(lab.kept) for job in jobs]
    took: list[float] = []
    for place, (job, found) in enumerate(zip(jobs, known, strict=True)):
        if found is None:
            left = _left(took, known[place:].count(None))
            with progress.phase(f"{job.title} ({place + 1} of {len(jobs)}{left})") as phase:
                began = time.monotonic()
                got = _through_web(lab.docker, job, images, seed, phase)
                phase.note("attacks")
                found = job.judged(got, seed, time.monotonic() - began)
            took.append(time.monotonic() - began)
            lab.kept.mkdir(parents=True, exist_ok=True)
            (lab.kept / job.file).write_bytes(_ANY.dump_json(found, indent=1))
        yield found


def _left(took: Sequence[float], webs: int) -> str:
    return f", {sum(took) / len(took) * webs / 60:.0f} min left" if took else ""


def _through_web(
    docker: DockerClient, job: Job, images: dict[str, str], seed: int, phase: Phase
) -> Recorded:
    """Bring a web up, send through it, take it down."""
    web = Web(docker, job.topology)
    planted = job.plant.name if job.plant else ""
    rng = random.Random(f"{seed} {stage_of(job.topology)} {job.topology.pool}{planted}")
    try:
        phase.note("up")
        web.up(images, lambda _: nullcontext())
        return _recorded(web, images["sniffer"], job.size, rng, phase)
    finally:
        web.down()


def _recorded(web: Web, sniffer: str, size: Size, rng: random.Random, phase: Phase) -> Recorded:
    phase.note("sealing the mail")
    made = load.plan(web.topology, web.directory, size, rng)
    capture = Capture(web, rng)
    capture.wait_listening()
    with Mailboxes(web) as boxes, Dissector(web.docker, web.topology.web, sniffer) as dissector:
        began = time.time()
        arrived, handed = _through(web, boxes, made.main, phase.note)
        spans = [(began, time.time())]
        for place, letters in enumerate(made.rounds, 1):
            began = time.time()
            phase.note(f"round {place} of {len(made.rounds)}")
            _through(web, boxes, letters, lambda _: None)
            spans.append((began, time.time()))
        phase.note("the wire, dissected")
        captured = capture.finish(web.state / "capture")
        wire = dissector.read(captured.path, bridge=web.topology.bridge)
    logs = {name: log.lines for name, log in hops.read(web).items()}
    trouble = captured.why or wire.trouble
    return Recorded(
        web.topology, size.rate, made, wire, tuple(spans), logs, arrived, trouble, tuple(handed)
    )


def _through(
    web: Web, boxes: Mailboxes, letters: Sequence[Posted], note: Callable[[str], object]
) -> tuple[int, list[Handed]]:
    """Send letters at their times and wait for them; how many arrived, and when users of proxies
    handed theirs in."""
    sent = 0

    def one() -> None:
        nonlocal sent
        sent += 1
        note(f"{sent} of {len(letters)} mails sent")

    handed: list[Handed] = []
    if web.topology.proxies:
        handed = users.send(web, letters, one)
    else:
        asyncio.run(load.send(web, letters, one))
    arrived = 0
    deadline = time.monotonic() + ARRIVE_WITHIN
    while arrived < len(letters) and time.monotonic() < deadline:
        arrived += len(boxes.new())
        note(f"{arrived} of {len(letters)} mails arrived")
        time.sleep(POLL)
    return arrived, handed
