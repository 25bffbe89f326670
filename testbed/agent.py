"""Programs in containers, given a line from here, and what they say as it comes: most are the agent
in the witness container, with a job."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from docker import DockerClient
from docker.models.containers import Container
from docker.utils.socket import STDERR, frames_iter

from testbed.errors import TestbedError

WITNESS = "witness"
"""The service that the agent runs in."""

FOLDER = "/opt/witness"
"""Where the image has the agent."""

PATIENCE = 60.0
"""Seconds that a job may take, besides the time that it was given itself."""

Answer = dict[str, Any]


class Watched(Protocol):
    """A web, or another place that has a witness."""

    docker: DockerClient

    def container(self, service: str) -> Container:
        """Its container of that name."""


def stream(
    web: Watched, job: str, services: Sequence[str], *, ended: bool = False, **task: Any
) -> Iterator[Answer]:
    """Give the agent a job and yield what it says as it comes. Raises TROUBLE.

    `ended`: the job is about services that no longer run.
    """
    docker = web.docker.api
    pids, gone = {}, []
    for name in services:
        state = web.container(name).attrs["State"]
        if state["Running"] is not ended:
            pids[name] = state["Pid"]
        else:
            verb = "still runs" if ended else "does not run"
            gone.append({"node": name, "why": f"{name} {verb} ({state['Status']})"})
    yield from gone
    argv = ["python3", "-m", "testbed.witness.agent", job]
    witness = web.container(WITNESS)
    if not witness.attrs["State"]["Running"]:
        raise TestbedError(f"the witness has ended: {_last_word(witness)}")
    made = docker.exec_create(witness.id, argv, stdin=True, workdir=FOLDER)["Id"]
    told: Answer = {}
    complaints: list[str] = []
    most = PATIENCE + task.get("within", 0)
    for told in talk(web.docker, made, {"nodes": pids, **task}, most, complaints, "the witness"):
        yield told
    if "done" not in told:
        raise TestbedError(f"the witness died: {(complaints or ['without a word'])[-1]}")


def talk(
    docker: DockerClient, made: str, given: Any, most: float, complaints: list[str], who: str
) -> Iterator[Any]:
    """Start a program that was made (exec_create), give it a line of JSON, yield those it prints.

    `complaints` gets the lines of its stderr. Raises TestbedError if it takes over `most` seconds.
    """
    connection = docker.api.exec_start(made, socket=True)
    _socket(connection).sendall(json.dumps(given).encode() + b"\n")
    # Docker does not end the stream when the container dies meanwhile.
    late = threading.Event()
    patience = threading.Timer(most, _hang_up, [connection, late])
    patience.start()
    said, rest = b"", b""
    try:
        for kind, data in frames_iter(connection, tty=False):  # type: ignore[no-untyped-call]
            if kind == STDERR:
                said += data
                continue
            *lines, rest = (rest + data).split(b"\n")
            yield from map(json.loads, lines)
    finally:
        patience.cancel()
        connection.close()
    if late.is_set():
        raise TestbedError(f"{who} did not end within {most:.0f} s: is the machine busy?")
    complaints += said.decode(errors="replace").strip().splitlines()


def _last_word(container: Container) -> str:
    lines: list[str] = container.logs(tail=5).decode(errors="replace").strip().splitlines()
    return f"{lines[-1].strip() if lines else 'no word'} (status {container.wait()['StatusCode']})"


def _hang_up(connection: Any, late: threading.Event) -> None:
    late.set()
    with contextlib.suppress(OSError):
        _socket(connection).shutdown(socket.SHUT_RDWR)


def _socket(connection: Any) -> Any:
    """What Docker's library wraps for reading only, where it does."""
    return getattr(connection, "_sock", connection)
