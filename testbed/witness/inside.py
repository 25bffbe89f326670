"""The agent in the witness container, asked from here: one call for all nodes, an answer for each.

A witness that cannot see is no error: whatever goes wrong becomes that node's answer `why`, and its
row inconclusive.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from docker.errors import APIError
from docker.utils.socket import STDERR, frames_iter
from requests.exceptions import RequestException

from testbed.engine import explain
from testbed.errors import TestbedError
from testbed.run import Run
from testbed.verdict import Control, Evidence, Finding, judge

WITNESS = "witness"
"""The service that the agent runs in."""

FOLDER = "/opt/witness"
"""Where the image has the agent."""

SPOOL = "/var/lib/remailer/spool"
KEYS = "/var/lib/remailer/keys"
"""Where a node has its volumes."""

DATABASE = "spool.db"
"""The database's file in the spool's folder."""

PATIENCE = 20.0
"""Seconds that a job may take, besides the time that it was given itself."""

MOST_TOLD = 20
"""Pieces of evidence of one row that are told; the rest is counted."""

TROUBLE = (APIError, RequestException, TestbedError, ValueError, KeyError)
"""What asking may raise: Docker or the agent is gone, or has said something else."""

Answer = dict[str, Any]


def ask(run: Run, job: str, services: Sequence[str], **task: Any) -> dict[str, Answer]:
    """Give the agent a job; an answer for every service, `{"why": ...}` where there is none."""
    answers: dict[str, Answer] = {}
    why = "the witness died before it told"
    try:
        for told in stream(run, job, services, **task):
            if "node" in told:
                answers[told["node"]] = told
    except TROUBLE as error:
        why = reason(error)
    return {name: answers.get(name) or {"why": why} for name in services}


def stream(run: Run, job: str, services: Sequence[str], **task: Any) -> Iterator[Answer]:
    """Give the agent a job and yield what it says as it comes. Raises TROUBLE."""
    docker = run.web.docker.api
    pids, gone = {}, []
    for name in services:
        state = run.web.container(name).attrs["State"]
        if state["Running"]:
            pids[name] = state["Pid"]
        else:
            gone.append({"node": name, "why": f"{name} does not run ({state['Status']})"})
    yield from gone
    argv = ["python3", "-m", "testbed.witness.agent", job, json.dumps({"nodes": pids, **task})]
    made = docker.exec_create(run.web.container(WITNESS).id, argv, workdir=FOLDER)["Id"]
    connection = docker.exec_start(made, socket=True)
    # Docker does not end the stream when the container dies meanwhile.
    patience = threading.Timer(PATIENCE + task.get("within", 0), _hang_up, [connection])
    patience.start()
    said, rest, told = b"", b"", {}
    try:
        for kind, data in frames_iter(connection, tty=False):  # type: ignore[no-untyped-call]
            if kind == STDERR:
                said += data
                continue
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                told = json.loads(line)
                yield told
    finally:
        patience.cancel()
        connection.close()
    if "done" not in told:
        words = said.decode(errors="replace").strip().splitlines()
        raise TestbedError(f"the witness died: {words[-1] if words else 'without a word'}")


def _hang_up(connection: Any) -> None:
    with contextlib.suppress(OSError):
        getattr(connection, "_sock", connection).shutdown(socket.SHUT_RDWR)


def reason(error: Exception) -> str:
    """Why something could not be looked at, on one line."""
    if isinstance(error, APIError):
        return explain(str(error.explanation or error))
    return explain(str(error) or type(error).__name__)


def unseen(claim: str, node: str, why: str) -> Finding:
    """The row of a node that could not be looked at."""
    return judge(
        claim,
        node,
        looked_at="nothing",
        controls=[Control("the witness sees the node", False, why)],
    )


def some(evidence: Sequence[Evidence]) -> list[Evidence]:
    """The first pieces of evidence, and how many more there are."""
    if len(evidence) <= MOST_TOLD:
        return list(evidence)
    rest = len(evidence) - MOST_TOLD
    return [*evidence[:MOST_TOLD], Evidence(evidence[MOST_TOLD].where, f"and {rest} more like it")]


def excerpt(text: str) -> str:
    """A piece of some file for people to read, on one line."""
    shown = "".join(c if c.isprintable() and ord(c) < 127 else "." for c in text)
    return " ".join(shown.split())[:120]
