"""A web comes up whole or not at all, stands beside others, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker import DockerClient

from testbed import compose
from testbed.mailbox import Mailboxes, send
from testbed.topology import Topology
from testbed.traffic import KB, Plan
from testbed.web import Web
from testbed.wire.canary import Canaries
from webs import WebMaker

pytestmark = pytest.mark.web


def remains(docker: DockerClient, name: str) -> list[str]:
    """All that is left of a web, by label and by name."""
    left: list[str] = []
    for label in (f"com.docker.compose.project={name}", f"unlogged.web={name}"):
        filters: dict[str, str | list[str] | bool] = {"label": label}
        left += [str(c.name) for c in docker.containers.list(all=True, filters=filters)]
        left += [str(n.name) for n in docker.networks.list(filters=filters)]
        left += [str(v.name) for v in docker.volumes.list(filters=filters)]
    left += [str(n.name) for n in docker.networks.list() if str(n.name).startswith(f"{name}_")]
    left += [str(v.name) for v in docker.volumes.list() if str(v.name).startswith(f"{name}_")]
    state = compose.ROOT / ".webs" / name
    return left + ([str(state)] if state.exists() else [])


@pytest.fixture
def name(docker_client: DockerClient) -> Iterator[str]:
    """A web's name that nobody has; whatever is left of it is removed."""
    chosen = f"pytest-{os.getpid()}-{random.SystemRandom().randrange(10**6)}"
    yield chosen
    Web(docker_client, Topology(chosen)).down()


def start(*arguments: str, **settings: str) -> subprocess.Popen[str]:
    """The command `testbed`, as a user's shell starts it."""
    return subprocess.Popen(
        [sys.executable, "-m", "testbed", *arguments],
        cwd=compose.ROOT,
        env=os.environ | {"WITNESS": "plain"} | settings,  # nobody asks the recorder here
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # What was started in the background passes on that it ignores Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def run(*arguments: str, **settings: str) -> tuple[int, str, str]:
    """The command's exit status, output and complaints."""
    process = start(*arguments, **settings)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def test_up_status_down_leaves_nothing(
    docker_client: DockerClient, images: dict[str, str], name: str
) -> None:
    settings = {"WEB": name, "NODES": "2"}
    status, out, err = run("up", **settings)
    assert status == 0, err
    assert "swaks --config" in out
    status, out, _ = run("status", **settings)
    assert status == 0
    assert "alpha" in out
    status, _, err = run("up", **settings)
    assert status == 0, "up again is no error"
    status, _, err = run("up", WEB=name, NODES="3")
    assert (status, err.count("\n")) == (2, 1)
    assert "make down" in err
    assert run("down", **settings)[0] == 0
    assert remains(docker_client, name) == []


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_an_interrupted_up_leaves_nothing(
    docker_client: DockerClient, images: dict[str, str], name: str, sent: signal.Signals
) -> None:
    process = start("up", WEB=name, NODES="2")
    wait_for_volumes(docker_client, name)
    process.send_signal(sent)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2 or process.returncode == 130
    assert "Traceback" not in err
    assert remains(docker_client, name) == []


def test_down_removes_what_a_killed_up_left(
    docker_client: DockerClient, images: dict[str, str], name: str
) -> None:
    process = start("up", WEB=name, NODES="2")
    wait_for_volumes(docker_client, name)
    process.kill()
    process.communicate()
    status, _, err = run("verify", WEB=name, NODES="2")
    assert status == 2, "a stale web is neither used nor overwritten"
    assert "make down" in err
    assert err.count("\n") == 1
    wait_until_compose_is_gone(name)
    assert run("down", WEB=name)[0] == 0
    assert remains(docker_client, name) == []


def wait_for_volumes(docker: DockerClient, name: str) -> None:
    """Wait until a web is half up: its volumes are there."""
    deadline = time.monotonic() + 60
    while not any(str(v.name).startswith(f"{name}_") for v in docker.volumes.list()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def wait_until_compose_is_gone(name: str) -> None:
    """A killed harness can't stop its Compose; let that end before looking."""
    deadline = time.monotonic() + 30
    listed = ["ps", "axww"]
    while f"-p {name} ".encode() in subprocess.run(listed, capture_output=True, check=True).stdout:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_what_a_user_can_get_wrong_is_one_line_with_what_to_do(name: str, tmp_path: Path) -> None:
    for settings, said in (
        ({"LINK": "carrier-pigeon"}, "LINK='carrier-pigeon'"),
        ({"NODES": "many"}, "NODES='many'"),
        ({"NODES": "1"}, "2 to"),
        ({"POOL": "lake"}, "POOL='lake'"),
        ({"WEB": "No Such Name"}, "WEB='No Such Name'"),
        ({"DOCKER_HOST": f"unix://{tmp_path}/no.sock"}, "Docker is not there"),
        ({"DOCKER_HOST": "tcp://127.0.0.1:1"}, "daemon is not running"),
    ):
        status, _, err = run("up", **({"WEB": name} | settings))
        assert status == 2, settings
        assert said in err
        assert err.count("\n") == 1, err


def test_a_taken_port_is_named(
    docker_client: DockerClient, images: dict[str, str], name: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, _, err = run("up", WEB=name, NODES="2", PORTS=str(port))
    assert status == 2
    assert f"port {port} of 127.0.0.1 is taken" in err
    assert "Traceback" not in err
    assert remains(docker_client, name) == []


def test_an_interrupted_verify_leaves_no_verdict_and_no_web_that_could_mislead(
    docker_client: DockerClient, images: dict[str, str], name: str, tmp_path: Path
) -> None:
    (tmp_path / "verdict.json").write_text("an earlier run's")
    assert run("up", WEB=name, NODES="2")[0] == 0
    process = start("verify", "--out", str(tmp_path), WEB=name, NODES="2")
    assert process.stderr is not None
    for line in process.stderr:
        if "mail through the web" in line:
            break
    process.send_signal(signal.SIGINT)
    assert "Traceback" not in process.communicate(timeout=60)[1]
    assert process.returncode in {2, 130}
    assert not (tmp_path / "verdict.json").exists()
    status, _, err = run("verify", WEB=name, NODES="2")
    assert status == 2
    assert "make down" in err


def test_a_user_reads_his_mail(
    docker_client: DockerClient, images: dict[str, str], name: str
) -> None:
    status, out, _ = run("up", WEB=name, NODES="3", POOL="off")
    assert status == 0
    line = next(line for line in out.splitlines() if "remailer send" in line and "--server" in line)
    subprocess.run(["sh", "-c", line.strip()], cwd=compose.ROOT, check=True)
    deadline = time.monotonic() + 30
    while "Subject: hello" not in run("read", "bob", WEB=name)[1]:
        assert time.monotonic() < deadline
    status, _, err = run("read", "mallory", WEB=name)
    assert status == 2
    assert "no user 'mallory'" in err


def test_two_webs_side_by_side_do_not_touch_one_another(
    docker_client: DockerClient, images: dict[str, str], name: str, make_web: WebMaker
) -> None:
    rng = random.Random(1)
    with make_web(nodes=2, pool="off", witness="plain") as other:
        assert run("up", WEB=name, NODES="2")[0] == 0
        before = other.status()
        assert run("down", WEB=name)[0] == 0
        assert remains(docker_client, name) == []
        assert other.status().keys() == before.keys()
        plan = Plan(other.topology, Canaries.new(rng), rng)
        plan.add("forward", ("alpha", "bravo"), 2 * KB)
        with Mailboxes(other) as mailboxes:
            asyncio.run(send(other, plan.letters, lambda letter: None))
            assert mailboxes.collect(plan.letters, within=30) == []
    assert plan.letters[0].whole
