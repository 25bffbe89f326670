"""Job `state`: all that can be counted about the nodes from outside, once each is at rest.

Task: nodes {name: pid}, within (seconds that a node has to come to rest; 0: read as it is), spool
(path of its database), more (paths outside its mounts), token (a mark for the process that we start
as a control). A node's answer: rest (what was still going on, or nothing), mails (that lie in its
spool), files {path: {attribute: value}}, kernel {what: value}, header {field: value}, processes
[facts, and `executed`: somebody outside started it], control (facts of our own process); or `why`.
"""

from __future__ import annotations

import contextlib
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from testbed.witness.agent import filefacts, kernelfacts, processfacts, rest, walk


def run(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One answer a node."""
    deadline = time.monotonic() + task["within"]
    with _control(task["token"]) as control:
        for name, pid in task["nodes"].items():
            try:
                yield {"node": name, "control": control} | _at_rest(pid, task, deadline)
            except (walk.Unseen, OSError, ValueError, LookupError) as error:
                yield {"node": name, "why": str(error)}


def _at_rest(pid: int, task: dict[str, Any], deadline: float) -> dict[str, Any]:
    """What is read of a node that was at rest before and after, or at the deadline."""

    def look() -> str:
        return rest.of_node(pid, task["spool"], task["links"])

    while True:
        busy = rest.wait(look, deadline)
        told = _read(pid, task)
        # A kernel's table that changes while it is read may lack a row: so it is looked at twice.
        busy = busy or rest.talking(told["kernel"]["sockets"]) or look()
        if not busy or time.monotonic() > deadline:
            return told | {"rest": busy.removeprefix(rest.MAIL)}


def _read(pid: int, task: dict[str, Any]) -> dict[str, Any]:
    # Only what comes to rest is compared, signals on their way with it.
    looks = processfacts.LOOKS if task["within"] else 1
    sockets = kernelfacts.sockets(pid, task["links"])
    pids = processfacts.of_container(pid)
    files = filefacts.of_mounts(pid)
    for path in task["more"]:
        files |= filefacts.of_file(pid, path)
    return {
        "mails": rest.mails(pid, task["spool"]),
        "files": files,
        "header": filefacts.header(pid, task["spool"]),
        "kernel": kernelfacts.of_node(pid, pids, sockets),
        "processes": [
            facts | {"executed": processfacts.executed(one, pids)}
            for one in pids
            if (facts := processfacts.of_process(one, sockets, looks=looks))
        ],
    }


@contextlib.contextmanager
def _control(token: str) -> Iterator[dict[str, Any]]:
    """What is seen of a process of ours that has a mark wherever one can be, and may dump core."""

    def may_dump() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (1, resource.getrlimit(resource.RLIMIT_CORE)[1]))

    # The signal that it is there, by then with its own command line, is a line of its own.
    code = "print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-I", "-c", code, token],
        env={"CONTROL": token},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        preexec_fn=may_dump,
    ) as process:
        assert process.stdin
        assert process.stdout
        try:
            process.stdout.readline()
            yield processfacts.of_process(process.pid, {}) or {}
        finally:
            process.kill()
