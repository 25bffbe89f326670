"""Claim `silent-output`: nothing on a node's stdout or stderr but the one line of readiness.

What Docker keeps of the health check's output counts as well: it stands on the host's disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from testbed.run import Run
from testbed.verdict import Control, Evidence, Finding, judge
from testbed.witness.inside import TROUBLE, excerpt, reason, some, unseen

READABLE = frozenset({"json-file", "local", "journald"})
"""Log drivers that keep what they are given and can be read back."""


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
        log = container.logs(stdout=True, stderr=True)
        attributes = container.attrs
    except TROUBLE as error:
        return unseen("silent-output", node, reason(error))
    return judge_log(node, log, attributes)


def judge_log(node: str, log: bytes, attributes: dict[str, Any]) -> Finding:
    """The row of one node, from its whole log and what `docker inspect` says of it."""
    driver = str(attributes["HostConfig"]["LogConfig"]["Type"])
    checks = attributes["State"].get("Health", {}).get("Log") or []
    lines = log.split(b"\n")
    at = next((i for i, line in enumerate(lines, 1) if line == ready_line(node)), None)
    return judge(
        "silent-output",
        node,
        looked_at=f"{len(log)} bytes of docker log ({driver}), {len(checks)} health checks",
        controls=[
            Control("a log driver that can be read back", driver in READABLE, driver),
            Control(
                "the line that it prints when ready", at is not None, f"line {at}" if at else ""
            ),
        ],
        evidence=some([*_lines(node, lines), *_checks(checks)]),
        kind="stdout",
    )


def _lines(node: str, lines: list[bytes]) -> Iterator[Evidence]:
    offset = 0
    for number, line in enumerate(lines, 1):
        if line and line != ready_line(node):
            where = f"docker log, line {number}, byte {offset}"
            yield Evidence(where, excerpt(line.decode("latin-1")))
        offset += len(line) + 1
    # An empty line is a line too; only what follows the last line's end is none.
    empty = [number for number, line in enumerate(lines[:-1], 1) if not line]
    yield from (Evidence(f"docker log, line {number}", "an empty line") for number in empty)


def _checks(checks: list[dict[str, Any]]) -> Iterator[Evidence]:
    for check in checks:
        if said := str(check.get("Output", "")):
            yield Evidence(f"docker's record of the health check, {check['Start']}", excerpt(said))
