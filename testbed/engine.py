"""The Docker engine: the connection to it, and its errors told in one line with what to do."""

from __future__ import annotations

import re
import time
from typing import Any

import docker
from docker import DockerClient
from docker.errors import APIError, DockerException
from docker.models.containers import Container

from testbed.errors import DockerError, WebError

_NOT_ALLOWED = "this user may not talk to Docker: join the group docker, or use sudo"
_NOBODY = "the Docker daemon is not running, or DOCKER_HOST is wrong: start it, or mend that"
_HINTS = (
    (r"(?i)no space left on device", "the disk is full: free some (see docker system df)"),
    (r"permission denied.*docker\.sock|PermissionError", _NOT_ALLOWED),
    (r"FileNotFoundError", "Docker is not there: install it, or set DOCKER_HOST"),
    (r"ConnectionRefused|Connection refused|Invalid bind address", _NOBODY),
    (
        r"127\.0\.0\.1:(\d+).*(?:address already in use|port is already allocated)",
        r"port \1 of 127.0.0.1 is taken: choose others with PORTS=n, or leave it out for free ones",
    ),
    (r"[Pp]ool overlaps", "the web's addresses were taken meanwhile: make down, then make up"),
)  # fmt: skip


def explain(message: str) -> str:
    """An engine's or Compose's message, on one line, with what to do where we know it."""
    line = " ".join(message.split())
    for pattern, hint in _HINTS:
        if match := re.search(pattern, line):
            return match.expand(hint)
    return line


def connect() -> DockerClient:
    """The engine that the environment names. Raises DockerError, with what to do."""
    try:
        client = docker.from_env(timeout=60)
        client.ping()
    except (DockerException, OSError) as error:
        raise DockerError(f"Docker: {explain(repr(error))}") from None
    return client


def refused(error: APIError) -> DockerError:
    """An engine's refusal as our error."""
    return DockerError(f"Docker: {explain(str(error.explanation or error))}")


def wait_for(container: Container, word: bytes, within: float) -> None:
    """Wait until a container has said a word on its output. Raises WebError, with its last word.

    `within`: seconds.
    """
    deadline = time.monotonic() + within
    while word not in (said := container.logs()):
        container.reload()
        if container.status not in {"running", "created"}:
            last = said.decode(errors="replace").strip().splitlines()[-1:] or ["no word"]
            raise WebError(f"{container.name}: ended before it was ready: {explain(last[0])}")
        if time.monotonic() > deadline:
            raise WebError(f"{container.name}: not ready within {within:.0f} s")
        time.sleep(0.1)


def state_of(container: Any) -> str:
    """`running`, `healthy`, `starting`, `exited`, ...: as Docker tells it."""
    state = container.attrs["State"]
    # Of a container that was stopped Docker still tells how its last health check went.
    health = state.get("Health", {}).get("Status") if state["Status"] == "running" else None
    return str(health or state["Status"])
