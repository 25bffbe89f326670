"""Fixtures: webs of remailers by pytest-docker, each with a name of its own, gone at the end."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from docker import DockerClient

from testbed import compose, engine
from testbed.images import Images
from testbed.topology import Link, Topology
from testbed.web import Web
from webs import WebMaker, quiet

CACHE = compose.ROOT / ".cache"


@pytest.fixture(scope="session")
def docker_client() -> Iterator[DockerClient]:
    client = engine.connect()
    yield client
    client.close()


@pytest.fixture(scope="session")
def images(docker_client: DockerClient) -> dict[str, str]:
    """All images of the project, built if their inputs have changed."""
    return Images(docker_client, CACHE).ensure()


# -- the default web, through pytest-docker ---------------------------------------------------


@pytest.fixture(scope="session")
def prepared_web(docker_client: DockerClient, images: dict[str, str]) -> Iterator[Web]:
    """The state of the tests' default web; pytest-docker makes its containers."""
    web = Web(docker_client, Topology(web=f"pytest-{os.getpid()}"))
    web.prepare(images)
    yield web
    web.down()


@pytest.fixture(scope="session")
def docker_compose_command(prepared_web: Web) -> str:
    return f"{' '.join(compose.command())} --env-file {prepared_web.state / 'env'}"


@pytest.fixture(scope="session")
def docker_compose_file(prepared_web: Web) -> str:
    return str(prepared_web.state / "compose.yaml")


@pytest.fixture(scope="session")
def docker_compose_project_name(prepared_web: Web) -> str:
    return prepared_web.topology.web


@pytest.fixture(scope="session")
def docker_setup() -> list[str]:
    """Containers without starting them: the nodes make their keys first."""
    return ["up --no-start"]


@pytest.fixture(scope="session")
def web(docker_services: object, prepared_web: Web) -> Web:
    """The default web (5 remailers, pools of 1 s on average), ready for mail."""
    prepared_web.open(quiet)
    return prepared_web


# -- other webs, by the harness itself --------------------------------------------------------


@pytest.fixture(scope="session")
def make_web(docker_client: DockerClient, images: dict[str, str]) -> WebMaker:
    """Brings any web up and takes it down."""

    @contextmanager
    def make(
        link: Link = Topology.link,
        nodes: int = 5,
        pool: str = "exponential:1.0",
        leaks: dict[str, str] | None = None,
        *,
        hosted: bool = False,
        witness: str = "full",
    ) -> Iterator[Web]:
        name = f"pytest-{os.getpid()}-{random.SystemRandom().randrange(10**6)}"
        topology = Topology(
            name, link, nodes, pool, leaks=leaks or {}, hosted=hosted, witness=witness
        )
        web = Web(docker_client, topology)
        web.up(images, quiet)
        try:
            yield web
        finally:
            web.down()

    return make


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where a verification writes its results."""
    return tmp_path / "out"
