"""Sends a web its mail and records it, from the sealing of the mail to the end of the capture.

A tape may be kept beside its capture: so attacks that are written later can try on it, and so can
programs that aren't ours (docs/attacks.md).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from testbed.attack import load, users
from testbed.attack.case import Tape
from testbed.attack.load import Posted, Size
from testbed.attack.truth import Handed
from testbed.mailbox import POLL, Mailboxes
from testbed.report.progress import Phase
from testbed.web import Web
from testbed.wire.capture import Capture
from testbed.witness import hops

ARRIVE_WITHIN = 90.0
"""Seconds that mail has to arrive, after the last was taken."""


@dataclass(frozen=True)
class Kept:
    """A tape as it is kept."""

    sent: str
    """Which web, and what mail."""
    tape: Tape


_KEPT = TypeAdapter(Kept)
_FILE = "tape.json"


def keep(tape: Tape, folder: Path, sent: str) -> None:
    """Write a tape down beside its capture."""
    (folder / _FILE).write_bytes(_KEPT.dump_json(Kept(sent, tape), indent=1))


def kept(folder: Path, sent: str) -> Tape | None:
    """The tape in a folder, if it is of this web and mail, and its capture is there."""
    try:
        found = _KEPT.validate_json((folder / _FILE).read_bytes())
    except (OSError, ValidationError):
        return None
    path = folder / found.tape.captured.path.name  # the folder may have moved since
    if found.sent != sent or not path.exists():
        return None
    return replace(found.tape, captured=replace(found.tape.captured, path=path))


def taped(web: Web, folder: Path, size: Size, rng: random.Random, phase: Phase) -> Tape:
    """Send a web its mail, wait for it, and end the capture, whose file comes into the folder."""
    started = time.monotonic()
    (folder / _FILE).unlink(missing_ok=True)  # it is of the capture that is about to be replaced
    phase.note("sealing the mail")
    made = load.plan(web.topology, web.directory, size, rng)
    capture = Capture(web, rng)
    capture.wait_listening()
    with Mailboxes(web) as boxes:
        began = time.time()
        arrived, handed = _through(web, boxes, made.main, phase.note)
        spans = [(began, time.time())]
        for place, letters in enumerate(made.rounds, 1):
            began = time.time()
            phase.note(f"round {place} of {len(made.rounds)}")
            _through(web, boxes, letters, lambda _: None)
            spans.append((began, time.time()))
        phase.note("the wire")
        captured = capture.finish(folder)
    logs = {name: log.lines for name, log in hops.read(web).items()}
    return Tape(
        web.topology, size.rate, made, captured, tuple(spans), logs, arrived, tuple(handed),
        time.monotonic() - started,
    )  # fmt: skip


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
