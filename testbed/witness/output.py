"""Claim `silent-output`: nothing on a node's stdout or stderr but one line of readiness a start.

What Docker keeps of the health check's output counts as well: it stands on the host's disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from testbed.hexdump import dump
from testbed.run import Run
from testbed.verdict import Context, Control, Evidence, Finding, judge, some
from testbed.witness.inside import TROUBLE, excerpt, reason, unseen

READABLE = frozenset({"json-file", "local", "journald"})
"""Log drivers that keep what they are given and can be read back."""

TIMED_OUT = re.compile(r"Health check exceeded timeout \([0-9.a-z]+\)")
"""Docker's own words where a machine is too busy to ask in time; the node's would follow them."""

STOPPED = re.compile(
    r"OCI runtime exec failed: exec failed: cannot exec in a stopped container(: unknown)?\s*"
)
"""The same where it asks a node that is just being stopped."""


def ready_line(node: str) -> bytes:
    """What a node may say: this, once a start."""
    return f"remailer {node}: ready".encode()


def findings(run: Run) -> list[Finding]:
    """A row a node."""
    names = [node.name for node in run.web.topology.remailers]
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda name: _row(run, name), names))


def _row(run: Run, node: str) -> Finding:
    try:
        container = run.web.container(node)
        log = container.logs(stdout=True, stderr=True, timestamps=True)
        attributes = container.attrs
    except TROUBLE as error:
        return unseen("silent-output", node, reason(error))
    return judge_log(node, log, attributes)


@dataclass(frozen=True)
class Line:
    """A line of the log: its number from 1, its offset without Docker's times, when it was said."""

    number: int
    offset: int
    time: str
    text: bytes


def parse(log: bytes) -> list[Line]:
    """The lines of a log in which Docker has put the time before each."""
    lines, offset = [], 0
    for number, whole in enumerate(log.split(b"\n")[: -1 if log.endswith(b"\n") else None], 1):
        time, _, text = whole.partition(b" ")
        if whole:
            lines.append(Line(number, offset, _comparable(time.decode("latin-1")), text))
        offset += len(text) + 1
    return lines


def _comparable(time: str) -> str:
    """RFC 3339 in UTC with all nine digits of the fraction: Docker leaves out zeros at the end."""
    whole, _, fraction = time.removesuffix("Z").partition(".")
    return f"{whole}.{fraction:0<9}"


def judge_log(node: str, log: bytes, attributes: dict[str, Any]) -> Finding:
    """The row of one node, from its whole log with times and what `docker inspect` says of it."""
    driver = str(attributes["HostConfig"]["LogConfig"]["Type"])
    checks = attributes["State"].get("Health", {}).get("Log") or []
    started = _comparable(str(attributes["State"]["StartedAt"]))
    lines = parse(log)
    ready = [line for line in lines if line.text == ready_line(node) and line.time >= started]
    return judge(
        "silent-output",
        node,
        looked_at=f"{len(lines)} lines of docker log ({driver}), {len(checks)} health checks",
        controls=[
            Control("a log driver that can be read back", driver in READABLE, driver),
            Control(
                "the line that it prints when ready, since it was last started",
                bool(ready),
                f"line {ready[0].number}" if ready else "",
            ),
        ],
        evidence=some([*_lines(node, lines, ready), *_checks(checks, attributes["State"])]),
        kind="stdout",
    )


def _lines(node: str, lines: Sequence[Line], ready: Sequence[Line]) -> Iterator[Evidence]:
    """Whatever is not the line of readiness, and that line where it is said once more.

    How often an earlier process was started isn't known: its lines of readiness are passed over.
    """
    for line in lines:
        where = f"docker log, line {line.number}, byte {line.offset}"
        if line.text != ready_line(node):
            what = excerpt(line.text.decode("latin-1")) or "an empty line"
            yield Evidence(where, what, Context(dump(line.text, line.offset)))
        elif line in ready[1:]:
            yield Evidence(where, f"said again: {line.text.decode()}")


def _checks(checks: list[dict[str, Any]], state: dict[str, Any]) -> Iterator[Evidence]:
    own_words = [TIMED_OUT] if state.get("Running", True) else [TIMED_OUT, STOPPED]
    for check in checks:
        said = str(check.get("Output", ""))
        if said and not any(words.fullmatch(said) for words in own_words):
            where = f"docker's record of the health check, {check['Start']}"
            yield Evidence(where, excerpt(said), Context(dump(said.encode())))
