"""Takes a web down by its labels: containers, networks, volumes, also what a killed `up` left."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

from docker import DockerClient
from docker.errors import APIError, NotFound
from docker.models.containers import Container
from requests import Timeout

from testbed.engine import refused
from testbed.errors import DockerError

GONE_WITHIN = 120.0
"""Seconds that Docker may refuse to remove what is still in use."""

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Finish what was begun: in the main thread, signals to stop have to wait meanwhile."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    kept = {number: signal.signal(number, lambda n, _: came.append(n)) for number in _STOPPING}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def remove_all(docker: DockerClient, web: str) -> int:
    """Remove round after round, until two find nothing: a Compose that was stopped half-way
    may have asked for containers that are still being made."""
    count = rounds_without = 0
    deadline = time.monotonic() + GONE_WITHIN
    while rounds_without < 2:
        try:
            found = _round(docker, web)
        except APIError as error:
            if time.monotonic() > deadline:
                raise refused(error) from None
            found = 1
        except Timeout:  # it takes its time, on a slow disk more than the client gives it
            if time.monotonic() > deadline:
                raise DockerError("Docker: no answer while a web is taken down: again") from None
            found = 1
        count += found
        rounds_without = 0 if found else rounds_without + 1
        time.sleep(0.1)
    return count


def _round(docker: DockerClient, web: str) -> int:
    count = 0
    for label in (f"com.docker.compose.project={web}", f"unlogged.web={web}"):
        filters: dict[str, str | list[str] | bool] = {"label": label}
        containers = docker.containers.list(all=True, filters=filters, ignore_removed=True)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(_remove_container, containers))
        networks = docker.networks.list(filters=filters)
        volumes = docker.volumes.list(filters=filters)
        for remove in [n.remove for n in networks] + [v.remove for v in volumes]:
            _unless_gone(remove)
        count += len(containers) + len(networks) + len(volumes)
    return count


def _remove_container(container: Container) -> None:
    _unless_gone(lambda: container.remove(force=True, v=True))


def _unless_gone(remove: Callable[[], object]) -> None:
    """Somebody else may have removed it meanwhile; that is what we wanted."""
    with suppress(NotFound):
        remove()
