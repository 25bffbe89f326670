"""Inside a container: a command's output, an agent's JSON, and what it all costs the processor."""

from __future__ import annotations

import json
from typing import Any, cast

from docker import DockerClient
from docker.errors import APIError
from docker.models.containers import Container

from testbed.engine import refused
from testbed.errors import WebError

AGENT = ("python3", "-m")
ALONE_WITHIN = 600


def run(container: Container, *command: str) -> bytes:
    """Run a command in a container; raises WebError with its last word."""
    done = container.exec_run(list(command), demux=True)
    out, err = cast(tuple[bytes | None, bytes | None], done.output)
    if done.exit_code:
        last = (err or out or b"no word").decode(errors="replace").strip().splitlines()[-1]
        raise WebError(
            f"bench: {command[0]} in {container.name} ended with {done.exit_code}: {last}"
        )
    return out or b""


def told(container: Container, agent: str, *arguments: str) -> Any:
    """What one of our agents says there."""
    return json.loads(run(container, *AGENT, f"testbed.bench.agent.{agent}", *arguments))


def alone(docker: DockerClient, image: str, web: str, agent: str, *arguments: object) -> Any:
    """What an agent says that has a container of its own, without a network. Raises WebError."""
    command = [AGENT[1], f"testbed.bench.agent.{agent}", *map(str, arguments)]
    container = docker.containers.create(
        image, command, entrypoint=AGENT[0], network_mode="none", labels={"unlogged.web": web}
    )
    try:
        container.start()
        status = container.wait(timeout=ALONE_WITHIN)["StatusCode"]
        if status:
            last = container.logs(stdout=False).decode(errors="replace").strip().splitlines()[-1:]
            raise WebError(f"bench: {agent} ended with {status}: {' '.join(last)}")
        return json.loads(container.logs(stdout=True, stderr=False))
    except APIError as error:
        raise refused(error) from None
    finally:
        container.remove(force=True)


def processor(docker: DockerClient, container: Container) -> float:
    """Seconds of processor time that all of a container has taken so far, by its cgroup."""
    return processors(docker, container)[0]


def processors(docker: DockerClient, container: Container) -> tuple[float, float]:
    """The same, and what all processors of the machine have had to give, at one moment."""
    stats = docker.api.stats(str(container.id), stream=False, one_shot=True)["cpu_stats"]
    return stats["cpu_usage"]["total_usage"] / 1e9, stats["system_cpu_usage"] / 1e9
