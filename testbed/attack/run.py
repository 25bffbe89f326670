"""`make matrix`: for each link stage and pool a web, its mail, and every attack on what was seen.

What a web gave is kept as soon as it is scored: whoever says the same seed again goes on there.
A quick run lets the attacks try on one web while mail goes through the next; a full one doesn't, so
that nothing of ours is beside what it measures.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path

from docker import DockerClient
from pydantic import TypeAdapter, ValidationError

from testbed.attack import load, tape, users
from testbed.attack.case import Case, Tape, attacked, stage_of
from testbed.attack.load import Size
from testbed.attack.physical import SENT, Physical, Tried, tried
from testbed.attack.record import Matrix
from testbed.attack.stress import stressed
from testbed.errors import DockerError
from testbed.images import Images
from testbed.leaks.plant import FOLDER
from testbed.machine import commit, machine, versions
from testbed.report.progress import Phase, Progress
from testbed.topology import MAX_PROXIED, Link, Topology
from testbed.web import Web
from testbed.wire.dissect import Dissector
from testbed.wire.packets import Wire

OFF, ON = "off", "exponential:2.0"
"""The two pools: with the second and a mail a second the effective set is about 2e."""
SIZES = {
    (False, False): Size(forward=3, reply=2, sealed=2, padded=1, tagged=1, rounds=2),
    (False, True): Size(forward=50, reply=40, sealed=20, padded=30, tagged=10, rounds=100),
    (True, False): Size(forward=3, reply=2, sealed=2, padded=1, tagged=1, rounds=2, rate=0.8),
    (True, True): Size(forward=30, reply=20, sealed=20, padded=10, tagged=10, rounds=30, rate=0.4),
}
"""By whether a stage is a slow one, and whether the run is the full one. On port 25 each mail is a
process of its own: two cores bear four mails a second in the whole web, if they do little else."""
MOST_PROXIED = 30
"""Mails of each user with a proxy."""
CELLS = 5
"""Cells a second on links of cells: more than by default, so that there is more to see."""


@dataclass(frozen=True)
class Plan:
    """What is measured: the quick one takes a quarter of an hour on two quiet cores."""

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
    tapes: bool = False
    """Captures are kept as well, and what is true of them, for attacks that are still to come."""


def matrix(lab: Lab, plan: Plan, seed: int, progress: Progress) -> Matrix:
    """Measure whatever isn't among what is kept; nothing of the webs stays."""
    started, began = datetime.now(UTC), time.monotonic()
    with progress.phase("images") as phase:
        images = Images(lab.docker, lab.cache).ensure(progress=phase.note)
    jobs = [replace(job, images=" ".join(images.values())) for job in _jobs(lab.name, plan)]
    beside = len(jobs) > 1 and not plan.full
    others = "the attacks on the web before" if beside else "nothing of ours"
    with stressed() if plan.stress else nullcontext(others) as busy:
        found = _measured(lab, images, jobs, seed, progress, beside=beside)
    return Matrix(
        started, time.monotonic() - began, seed, plan.full, plan.nodes,
        tuple(one for one in found if isinstance(one, Case)),
        machine(lab.docker) | {"beside it": busy}, versions(lab.docker), commit(),
        tuple(one for one in found if isinstance(one, Tried)),
    )  # fmt: skip


@dataclass(frozen=True)
class Job:
    """One web: what is sent through it, and what is made of it."""

    title: str
    topology: Topology
    size: Size
    plant: Physical | None = None
    images: str = ""
    """Of what the web is made."""

    @property
    def name(self) -> str:
        """As files are called that belong to it."""
        if self.plant:
            return f"plant-{self.plant.name}"
        return f"{stage_of(self.topology)}-{self.topology.pool.replace(':', '-')}"

    @property
    def file(self) -> str:
        """Where what it gave is kept."""
        return f"{self.name}.json"

    def judged(self, tape: Tape, wire: Wire, seed: int) -> Case | Tried:
        """Let the attacks try."""
        if self.plant:
            return tried(self.plant, tape, wire, seed)
        return attacked(tape, wire, seed)

    @property
    def sent(self) -> str:
        """What a capture depends on beside seed and kind of run: the web and its mail."""
        own = self.topology
        web = f"{own.pool} {own.nodes} {own.cells} {self.size}"
        return f"{web} {self.images} {_loads()} {self._planted}"

    @property
    def _planted(self) -> str:
        return _digest(_files(FOLDER)) if self.plant else ""

    @property
    def made_of(self) -> str:
        """What a result depends on: the attacks, too."""
        return f"{self.sent} {_sources()}"

    def wire(self, folder: Path) -> Path:
        """Where the capture is, and what is kept with it."""
        return folder / "wire" / self.name

    def known(self, folder: Path) -> Case | Tried | None:
        """What an earlier run with the same seed has measured in the same way."""
        try:
            kept = _KEPT.validate_json((folder / self.file).read_bytes())
        except (OSError, ValidationError):
            return None
        return kept.found if kept.made_of == self.made_of else None

    def keep(self, folder: Path, found: Case | Tried) -> None:
        """Write it down for `known`."""
        (folder / self.file).write_bytes(_KEPT.dump_json(Kept(self.made_of, found), indent=1))


@dataclass(frozen=True)
class Kept:
    """What one web gave, as it is kept."""

    made_of: str
    found: Case | Tried


_KEPT = TypeAdapter(Kept)


@lru_cache(maxsize=1)
def _loads() -> str:
    """A digest of how mail is made, sent and recorded."""
    return _digest([Path(str(module.__file__)) for module in (load, users, tape)])


@lru_cache(maxsize=1)
def _sources() -> str:
    """A digest of the attacks and of all that they stand on."""
    attacks = Path(__file__).parent
    return _digest([*_files(attacks), *_files(attacks.parent / "wire")])


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.py"))


def _digest(files: Sequence[Path]) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def _jobs(name: str, plan: Plan) -> list[Job]:
    """All webs of a plan: first the stock ones, then those with a plant at every node.

    Each has a name of its own: what Docker keeps of one must not be in the way of the next.
    """
    jobs: list[Job] = []

    def web(link: Link, pool: str, *, proxies: bool = False) -> Topology:
        own = f"{name}-{len(jobs) + 1}"
        return Topology(own, link, plan.nodes, pool, cells=CELLS, proxies=proxies)

    for stage in plan.stages:
        for pool in plan.pools:
            jobs.append(Job(f"{stage}, pool {pool}", web(stage, pool), plan.sent(stage)))
    proxied = Link.CELLS in plan.stages and plan.nodes <= MAX_PROXIED
    # Twenty users take half a minute to come up: the quick run has them once.
    for pool in (plan.pools if plan.full else plan.pools[:1]) if proxied else ():
        topology = web(Link.CELLS, pool, proxies=True)
        jobs.append(Job(f"users with proxies, pool {pool}", topology, plan.proxied))
    for plant in plan.plants:
        topology = web(plant.link, plant.pool)
        leaks = {node.name: plant.name for node in topology.remailers}
        topology = replace(topology, leaks=leaks)
        jobs.append(Job(f"plant {plant.title}", topology, plan.size or SENT, plant))
    return jobs


def _measured(
    lab: Lab,
    images: dict[str, str],
    jobs: Sequence[Job],
    seed: int,
    progress: Progress,
    *,
    beside: bool,
) -> list[Case | Tried]:
    """What each web gave; `beside`: the attacks try on one while mail goes through the next."""
    known = [_known(lab, job) for job in jobs]
    took: list[float] = []
    given: list[Future[Case | Tried]] = []
    stays: list[DockerError] = []
    lab.kept.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(1) as judge:
        for place, (job, one) in enumerate(zip(jobs, known, strict=True)):
            if one is not None:
                given.append(_done(one))
                continue
            began = time.monotonic()
            left = _left(took, known[place:].count(None))
            with progress.phase(f"{job.title} ({place + 1} of {len(jobs)}{left})") as phase:
                own = tape.kept(job.wire(lab.kept), job.sent)
                stay = lab.tapes or own is not None
                if own is None:
                    own, trouble = _through_web(lab, job, images, seed, phase)
                    stays += [trouble] if trouble else []
                work = partial(_judged, lab, images["sniffer"], job, own, seed, stay=stay)
                if beside:
                    given.append(judge.submit(work))
                else:
                    phase.note("attacks")
                    given.append(_done(work()))
            took.append(time.monotonic() - began)
        if not all(one.done() for one in given):
            with progress.phase("attacks on the last web"):
                wait(given)
    found = [one.result() for one in given]
    if stays:  # only now: all that was measured is kept
        raise stays[0]
    return found


def _known(lab: Lab, job: Job) -> Case | Tried | None:
    """What an earlier run has measured; where tapes are wanted, only if its tape is there."""
    if lab.tapes and tape.kept(job.wire(lab.kept), job.sent) is None:
        return None
    return job.known(lab.kept)


def _done(one: Case | Tried) -> Future[Case | Tried]:
    made: Future[Case | Tried] = Future()
    made.set_result(one)
    return made


def _judged(
    lab: Lab, sniffer: str, job: Job, own: Tape, seed: int, *, stay: bool = False
) -> Case | Tried:
    """Dissect a web's wire and let the attacks try; what comes of it is kept at once.

    `stay`: the capture isn't removed.
    """
    try:
        with Dissector(lab.docker, job.topology.web, sniffer) as dissector:
            wire = dissector.read(own.captured.path, bridge=own.topology.bridge)
    finally:
        if not stay:
            own.captured.path.unlink(missing_ok=True)
    found = job.judged(own, wire, seed)
    job.keep(lab.kept, found)
    return found


def _left(took: Sequence[float], webs: int) -> str:
    return f", {sum(took) / len(took) * webs / 60:.0f} min left" if took else ""


def _through_web(
    lab: Lab,
    job: Job,
    images: dict[str, str],
    seed: int,
    phase: Phase,
) -> tuple[Tape, DockerError | None]:
    """Bring a web up, send through it, take it down.

    Also why something of it stays: Docker may keep a network for good that nobody is in.
    """
    web = Web(lab.docker, job.topology)
    planted = job.plant.name if job.plant else ""
    rng = random.Random(f"{seed} {stage_of(job.topology)} {job.topology.pool}{planted}")
    try:
        phase.note("up")
        web.up(images, lambda _: nullcontext())
        own = tape.taped(web, job.wire(lab.kept), job.size, rng, phase)
        if lab.tapes and not own.captured.why:  # else the next run has to try once more
            tape.keep(own, job.wire(lab.kept), job.sent)
    except BaseException:
        web.down()
        raise
    phase.note("down")
    try:
        web.down()
    except DockerError as error:
        return own, error
    return own, None
