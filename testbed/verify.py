"""One verification: real mail through a web, witnesses all round it, and the record of it all.

The order matters: the sniffer listens before the first letter, spools are seized while the first
load lies in them, then the prober works beside the rest of it (its own mail waits in the spools for
its peers, and must not be what was seized). When all of it has gone, nothing but the second load
happens to the nodes between two readings of their state (witness/moments.py). The capture ends
after the last of these.
"""

from __future__ import annotations

import asyncio
import itertools
import platform
import random
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from remailer.pool import parse
from testbed import compose
from testbed.errors import WebError
from testbed.mailbox import Mailboxes, send
from testbed.report import files as results
from testbed.report.progress import Phase, Progress
from testbed.report.record import Capture as CaptureFacts
from testbed.report.record import Mail, Memory, Record, Traffic
from testbed.run import Run
from testbed.topology import Link
from testbed.traffic import Letter, Plan, trail
from testbed.verdict import Finding
from testbed.web import JUDGED, SPOILED, Web
from testbed.wire import choices, contacts, links, opened, transfers
from testbed.wire.canary import Canaries
from testbed.wire.capture import Capture, CaptureFile
from testbed.wire.dissect import Dissector
from testbed.wire.packets import Wire
from testbed.wire.probe import Prober
from testbed.witness import (
    delivery,
    durable,
    files,
    headers,
    hops,
    keys,
    memory,
    moments,
    output,
    recorded,
    stopped,
    way_out,
)
from testbed.witness.docker_keeps import DockerKeeps
from testbed.witness.files import Diff
from testbed.witness.moments import Look, Moment
from testbed.witness.spool import Spools
from testbed.witness.state import State

ARRIVE_WITHIN = 60.0
"""Seconds that a load has to arrive, after its last letter was taken, beside its time in pools."""
SLOWEST = 20
"""Mean stays in a pool that the slowest of some fifty letters has over four hops, at most: but for
one run in some thousands."""


def patience(pool: str) -> float:
    """Seconds in which a load surely arrives, after its last letter was taken.

    Raises WebError for a pool of which some mails never leave.
    """
    parsed = parse(pool)
    if parsed.timed and parsed.timed.least:
        least, percent = parsed.timed.least, parsed.timed.percent
        raise WebError(
            f"POOL={pool}: {least} mails stay in each node's pool, so a verification's don't "
            f"all arrive: take timed:{parsed.timed.seconds:g},0,{percent}"
        )
    hop = parsed.timed.seconds * 100 / parsed.timed.percent if parsed.timed else parsed.mean
    return ARRIVE_WITHIN + SLOWEST * hop


def verify_web(
    web: Web,
    out: Path,
    seed: int,
    progress: Progress,
    *,
    last: bool = False,
    claims_only: bool = False,
) -> Record:
    """Verify a web that is up and write the results to `out`.

    `last`: the web goes down afterwards, so nodes may be stopped, and the sniffer stays so.
    `claims_only`: without what is told and not claimed, which takes time.
    """
    started = datetime.now(UTC)
    rng = random.Random(seed)
    results.clear(out)  # an interrupted run must not leave an earlier one's verdict beside its own
    (web.state / SPOILED).touch()
    run = Run(web, Canaries.new(rng), out, seed)
    plan = Plan(web.topology, run.canaries, rng)
    spools = Spools(run)
    looks: list[Look] = [spools, State(run), DockerKeeps(run)]
    capture = Capture(web, rng)
    nodes = [node.name for node in web.topology.remailers]
    with (
        _dissector(web) as dissector,
        Prober(web, rng, web.images["witness"]) as prober,
    ):
        with progress.phase("sniffer listens"):
            capture.wait_listening()
        with Mailboxes(web) as mailboxes:
            with progress.phase("the nodes before it"):
                moments.look(looks, Moment.BEFORE)
            with progress.phase("mail through the web") as phase:
                run.letters += plan.first()
                more = plan.second()
                diff = _first_load(run, more, mailboxes, prober, looks, spools, phase)
            found: list[Finding] = []
            if not web.topology.hosted:
                with progress.phase("is it on disk when a 250 is said"):
                    found += durable.findings(run)
            with progress.phase("strangers and impostors"):
                found += prober.finish()
            with progress.phase("the nodes between the loads"):
                moments.look(looks, Moment.BETWEEN)
            with progress.phase("more mail through the web") as phase:
                run.letters += more
                _send(run, more, phase)
                _collect(run, more, mailboxes, phase)
            with ThreadPoolExecutor(5) as pool:
                with progress.phase("the nodes after it"):
                    compared = pool.submit(files.diffs, run, [*nodes, web.topology.recipient.name])
                    moments.look(looks, Moment.AFTER)
                    found += [finding for one in looks for finding in one.findings()]
                    recording = recorded.answers(run)
                    found += recorded.findings(run, recording, spools.seized)
                with progress.phase("the nodes from outside, the wire"):
                    looked = pool.submit(_look, run, lambda: diff | compared.result())
                    remembered = pool.submit(lambda: [] if claims_only else memory.report(run))
                    captured = capture.finish(out)
                    # Only now: the sniffer would take the tries for the node's own.
                    tried = pool.submit(way_out.findings, run)
                    seized = pool.submit(dissector.opened)
                    wire = dissector.read(captured.path, bridge=web.topology.bridge)
                    given = recorded.given(recording)
                    found += _judged(run, wire, captured, given, seized.result())
                    found += looked.result() + tried.result()
                    # By now no witness has a file of its own in the nodes' folders.
                    found += _met(run, wire, captured)
                    memories = remembered.result()
                    mailboxes.collect(run.letters, 0)
    found += delivery.findings(web.topology, run.letters, mailboxes.unexpected)
    found += headers.findings(run)
    if last:
        with progress.phase("the nodes, stopped"):
            found += stopped.findings(run, spools.seen.get(Moment.AFTER, {}))
    else:
        if web.topology.link is Link.CELLS:
            (web.state / JUDGED).touch()
        else:
            capture.restart()
        (web.state / SPOILED).unlink()
    record = _record(run, started, found, progress, captured, wire, memories)
    results.write(record, out)
    return record


def _dissector(web: Web) -> Dissector:
    topology = web.topology
    volumes = {node.name: topology.keys_volume(node) for node in topology.remailers}
    return Dissector(web.docker, topology.web, web.images["sniffer"], volumes)


def _first_load(
    run: Run,
    more: Sequence[Letter],
    mailboxes: Mailboxes,
    prober: Prober,
    looks: Sequence[Look],
    spools: Spools,
    phase: Phase,
) -> dict[str, Diff]:
    """Send the first load and wait for it; read what lies in the nodes meanwhile, then probe.

    The docker diff of the sender's mail host: by then it has logged. The recipient's is taken with
    the nodes'. `more`: the second load, for which there is time to make digests.
    """

    def probe() -> dict[str, Diff]:
        spools.taken.wait()
        prober.start()
        return files.diffs(run, [run.web.topology.sender.name])

    with ThreadPoolExecutor(3) as pool:
        reading = pool.submit(moments.look, looks, Moment.DURING)
        reading.add_done_callback(spools.ended)
        probing = pool.submit(probe)
        spools.watching.wait()  # else mail may have come and gone before the first look
        _send(run, run.letters, phase)
        making = pool.submit(_make_trails, run, [*run.letters, *more])
        _collect(run, run.letters, mailboxes, phase)
        making.result()
        reading.result()
        return probing.result()


def _make_trails(run: Run, letters: Sequence[Letter]) -> None:
    """Make the digests that several witnesses look for afterwards; they are kept (digests.py)."""
    for node in run.web.topology.remailers:
        trail(letters, run.canaries, node)


def _send(run: Run, letters: Sequence[Letter], phase: Phase) -> None:
    """Send a load."""
    count = 0

    def sent(_: Letter) -> None:
        nonlocal count
        count += 1
        phase.note(f"{count} of {len(letters)} sent")

    asyncio.run(send(run.web, letters, sent))


def _collect(run: Run, letters: Sequence[Letter], mailboxes: Mailboxes, phase: Phase) -> None:
    """Wait until a load has arrived."""
    mailboxes.collect(
        letters,
        patience(run.web.topology.pool),
        lambda n: phase.note(f"{n} of {len(letters)} arrived"),
        others=run.letters,
    )


def _judged(
    run: Run,
    wire: Wire,
    captured: CaptureFile,
    given: Mapping[str, Collection[str]],
    seized: Mapping[str, str],
) -> list[Finding]:
    """What the wire shows of nodes and links, while other witnesses still look."""
    topology, whole = run.web.topology, links.is_whole(wire, captured)
    return [
        *links.findings(wire, topology, run.canaries, run.letters, captured, run.began),
        *choices.findings(wire, topology, run.letters, captured, given, run.began),
        *transfers.findings(wire, topology, run.letters, whole, run.began),
        *opened.findings(wire, topology, whole, seized),
    ]


def _met(run: Run, wire: Wire, captured: CaptureFile) -> list[Finding]:
    """Whom the nodes talked to, and whether one of them has a /dev/log."""
    topology = run.web.topology
    trails = {node.name: trail(run.letters, run.canaries, node) for node in topology.remailers}
    whole = links.is_whole(wire, captured)
    return contacts.findings(wire, topology, trails, whole, files.dev_log(run))


def _look(run: Run, diffs: Callable[[], Mapping[str, Diff]]) -> list[Finding]:
    """All witnesses that look at a node from outside, side by side."""
    with ThreadPoolExecutor(4) as pool:
        looks = [pool.submit(files.findings, run, diffs)]
        looks += [pool.submit(look.findings, run) for look in (output, keys, hops)]
        return [finding for look in looks for finding in look.result()]


def _record(
    run: Run,
    started: datetime,
    found: list[Finding],
    progress: Progress,
    captured: CaptureFile,
    wire: Wire,
    remembered: list[Memory],
) -> Record:
    took = {link: (size, packets) for link, size, packets in links.traffic(wire, run.web.topology)}
    hops = Counter(f"{a}>{b}" for letter in run.letters for a, b in itertools.pairwise(letter.path))
    docker = run.web.docker.version()
    return Record.of(
        run.web.topology,
        started=started,
        seed=run.seed,
        versions={
            "unlogged": metadata.version("unlogged"),
            "python": platform.python_version(),
            "docker engine": str(docker.get("Version")),
            "compose": compose.version(),
        },
        findings=found,
        timings=progress.timings,
        mails=[
            Mail(
                letter.number,
                letter.kind,
                letter.path,
                len(letter.body),
                letter.whole,
                letter.seen_at - letter.sent_at if letter.whole else None,
            )
            for letter in run.letters
        ],
        traffic=[Traffic(link, hops[link], *took[link]) for link in sorted(took)],
        capture=CaptureFacts(
            captured.path.name, captured.total, captured.dropped, captured.complete, captured.why
        ),
        memory=remembered,
    )
