"""One verification: real mail through a web, witnesses all round it, and the record of it all.

The order matters: the sniffer listens before the first letter, spools are seized while the load
lies in them, then the prober works beside the rest of it (its own mail waits in the spools for its
peers, and must not be what was seized), and the capture ends after all of it.
"""

from __future__ import annotations

import asyncio
import itertools
import platform
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from testbed import compose
from testbed.mailbox import Mailboxes, send
from testbed.report import files as results
from testbed.report.progress import Phase, Progress
from testbed.report.record import Capture as CaptureFacts
from testbed.report.record import Mail, Record, Traffic
from testbed.run import Run
from testbed.traffic import Letter, Plan
from testbed.verdict import Finding
from testbed.web import SPOILED, Web
from testbed.wire import links
from testbed.wire.canary import Canaries
from testbed.wire.capture import Capture, CaptureFile
from testbed.wire.dissect import Dissector
from testbed.wire.packets import Wire
from testbed.wire.probe import Prober
from testbed.witness import delivery, durable, files, headers, hops, keys, output, spool, way_out

ARRIVE_WITHIN = 60.0
"""Seconds that the load has to arrive, after the last letter was taken."""


def verify_web(web: Web, out: Path, seed: int, progress: Progress, *, last: bool = False) -> Record:
    """Verify a web that is up and write the results to `out`.

    `last`: the web goes down afterwards, so the sniffer need not be started again.
    """
    started = datetime.now(UTC)
    rng = random.Random(seed)
    results.clear(out)  # an interrupted run must not leave an earlier one's verdict beside its own
    (web.state / SPOILED).touch()
    run = Run(web, Canaries.new(rng), out, seed)
    capture = Capture(web, rng)
    with (
        Dissector(web.docker, web.topology.web, web.images["sniffer"]) as dissector,
        Prober(web, rng, web.images["witness"]) as prober,
    ):
        with progress.phase("sniffer listens"):
            capture.wait_listening()
        with Mailboxes(web) as mailboxes:
            with progress.phase("mail through the web") as phase:
                found = _load(run, rng, mailboxes, prober, phase)
            if not web.topology.hosted:
                with progress.phase("is it on disk when a 250 is said"):
                    found += durable.findings(run)
            with progress.phase("strangers and impostors"):
                found += prober.finish()
            with progress.phase("the nodes, from outside"):
                found += _look(run)
                mailboxes.collect(run.letters, 0)
        with progress.phase("the wire, dissected"):
            captured = capture.finish(out)
            with ThreadPoolExecutor(1) as pool:
                # Only now: the sniffer would take the tries for the node's own.
                tried = pool.submit(way_out.findings, run)
                wire = dissector.read(captured.path, bridge=web.topology.bridge)
                found += tried.result()
            found += links.findings(
                wire, web.topology, run.canaries, run.letters, captured, files.dev_log(run)
            )
    found += delivery.findings(web.topology, run.letters, mailboxes.unexpected)
    found += headers.findings(run)
    if not last:
        capture.restart()
        (web.state / SPOILED).unlink()
    record = _record(run, started, found, progress, captured, wire)
    results.write(record, out)
    return record


def _load(
    run: Run, rng: random.Random, mailboxes: Mailboxes, prober: Prober, phase: Phase
) -> list[Finding]:
    """Send a whole load and wait for it; seize the spools while it lies in them, then probe."""
    letters = Plan(run.web.topology, run.canaries, rng).load()
    run.letters += letters
    count = 0

    def sent(_: Letter) -> None:
        nonlocal count
        count += 1
        phase.note(f"{count} of {len(letters)} sent")

    def seize() -> spool.Seized:
        seized = spool.seize(run)
        prober.start()
        return seized

    with ThreadPoolExecutor(1) as pool:
        seized = pool.submit(seize)
        asyncio.run(send(run.web, letters, sent))
        mailboxes.collect(
            letters, ARRIVE_WITHIN, lambda n: phase.note(f"{n} of {len(letters)} arrived")
        )
        return spool.findings(run, seized.result())


def _look(run: Run) -> list[Finding]:
    """All witnesses that look at a node from outside, side by side."""
    with ThreadPoolExecutor(4) as pool:
        looks = [pool.submit(look.findings, run) for look in (output, files, keys, hops)]
        return [finding for look in looks for finding in look.result()]


def _record(
    run: Run,
    started: datetime,
    found: list[Finding],
    progress: Progress,
    captured: CaptureFile,
    wire: Wire,
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
    )
