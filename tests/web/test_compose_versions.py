"""The same compose.yaml works with docker-compose 1.29 and with Compose 2."""

from __future__ import annotations

import asyncio
import io
import os
import random
import shlex
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from docker import DockerClient

from testbed import compose
from testbed.mailbox import Mailboxes, send
from testbed.topology import Topology
from testbed.traffic import KB, Plan
from testbed.web import Web
from testbed.wire.canary import Canaries

pytestmark = pytest.mark.web

PLUGIN = "usr/libexec/docker/cli-plugins/docker-compose"


def version_of(command: str) -> str:
    """What a Compose command says of itself; empty if it isn't there."""
    if not shutil.which(shlex.split(command)[0]):
        return ""
    argv = [*shlex.split(command), "version", "--short"]
    run = subprocess.run(argv, capture_output=True, text=True, check=False)
    return run.stdout.strip().removeprefix("v") if run.returncode == 0 else ""


def installed(major: str) -> str | None:
    """A Compose command of this major version on this machine."""
    commands = ("docker compose", "docker-compose")
    return next((c for c in commands if version_of(c).startswith(major)), None)


def compose_2(docker: DockerClient, image: str, folder: Path) -> str:
    """Compose 2: this machine's own, or Debian's package, unpacked in a container."""
    if command := installed("2."):
        return command
    container = docker.containers.run(
        image,
        ["sh", "-ec", "cd /tmp; apt-get -q update; apt-get -q download docker-compose; "
         "dpkg -x docker-compose_*.deb /tmp/unpacked"],
        detach=True, labels={"unlogged.test": "compose"},
    )  # fmt: skip
    try:
        assert container.wait(timeout=120)["StatusCode"] == 0, container.logs()[-500:]
        chunks, _ = container.get_archive(f"/tmp/unpacked/{PLUGIN}")
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
            tar.extractall(folder, filter="data")
    finally:
        container.remove(force=True)
    return str(folder / "docker-compose")


@pytest.mark.parametrize("major", ["1.", "2."])
def test_a_web_comes_up_works_and_goes(
    docker_client: DockerClient, images: dict[str, str], tmp_path: Path, major: str
) -> None:
    command = (
        compose_2(docker_client, images["base"], tmp_path) if major == "2." else installed(major)
    )
    if command is None:
        pytest.skip("docker-compose 1.29 isn't on this machine")
    assert version_of(command).startswith(major)
    name = f"pytest-{os.getpid()}-compose-{major[0]}"
    settings = os.environ | {"WEB": name, "COMPOSE": command, "NODES": "3"}
    testbed = [sys.executable, "-m", "testbed"]
    try:
        subprocess.run([*testbed, "up"], env=settings, cwd=compose.ROOT, check=True)
        web = Web.find(docker_client, name)
        assert web is not None
        rng = random.Random(1)
        plan = Plan(web.topology, Canaries.new(rng), rng)
        plan.add("forward", ("alpha", "bravo", "charlie"), 2 * KB)
        with Mailboxes(web) as mailboxes:
            asyncio.run(send(web, plan.letters, lambda letter: None))
            assert mailboxes.collect(plan.letters, within=30) == []
        subprocess.run([*testbed, "down"], env=settings, cwd=compose.ROOT, check=True)
        assert Web.find(docker_client, name) is None
    finally:
        Web(docker_client, Topology(name)).down()


def test_the_committed_file_is_the_rendered_default() -> None:
    assert (compose.ROOT / "compose.yaml").read_text() == compose.render(Topology())
