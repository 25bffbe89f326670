"""docker-keeps: what Docker has on record of a node may not differ, nor happen to it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from testbed.topology import Topology
from testbed.verdict import Finding, Status
from testbed.witness import docker_keeps
from testbed.witness.docker_keeps import Kept
from testbed.witness.moments import Moment

TOPOLOGY = Topology()
SECOND = 1_000_000_000
MOUNTS = [
    {"Type": "volume", "Name": f"unlogged_alpha-{name}", "Destination": f"/var/lib/remailer/{name}"}
    for name in ("keys", "spool")
] + [{"Type": "bind", "Destination": "/etc/remailer"}]
VOLUMES = ("unlogged_alpha-keys", "unlogged_alpha-spool")


def check(start: str, code: int = 0, said: str = "") -> dict[str, Any]:
    return {"Start": start, "End": start, "ExitCode": code, "Output": said}


def inspect(*checks: dict[str, Any]) -> dict[str, Any]:
    """`docker inspect` of a node."""
    return {
        "RestartCount": 0,
        "State": {
            "Pid": 7, "ExitCode": 0, "Error": "", "OOMKilled": False,
            "Health": {"Status": "healthy", "Log": list(checks)},
        },
        "Config": {
            "Healthcheck": {"Test": ["CMD", "remailer", "health"], "Timeout": 5 * SECOND},
        },
        "Mounts": copy.deepcopy(MOUNTS),
        "ExecIDs": None,
    }  # fmt: skip


def event(action: str, at: float = 0.0, code: str = "", id_: str = "e1") -> dict[str, Any]:
    """As Docker tells it."""
    attributes = {"execID": id_, "com.docker.compose.service": "alpha"}
    attributes |= {"exitCode": code} if code else {}
    return {"Action": action, "timeNano": int(at * SECOND), "Actor": {"Attributes": attributes}}


ASKED = [
    event("exec_create: remailer health"),
    event("exec_start: remailer health"),
    event("exec_die", 0.2, "0"),
    event("health_status: healthy", 0.2),
]


def row(
    change: Callable[[Kept], object] = lambda kept: None,
    events: list[dict[str, Any]] = ASKED,
    caused: str = "e1",
    missed: str = "",
) -> Finding:
    """The row when something is changed in the last reading."""
    kept = {
        Moment.BEFORE: Kept(inspect(check("1")), 30, VOLUMES),
        Moment.BETWEEN: Kept(inspect(check("1"), check("2")), 30, VOLUMES),
        Moment.AFTER: Kept(inspect(check("2"), check("3")), 30, VOLUMES),
    }
    change(kept[Moment.AFTER])
    return docker_keeps.row(TOPOLOGY, "alpha", kept, events, caused, missed)


def replace(**values: Any) -> Callable[[Kept], None]:
    """Sets fields of the last reading."""
    return lambda kept: [setattr(kept, name, value) for name, value in values.items()] and None


def test_a_node_of_which_docker_has_nothing_new_passes() -> None:
    assert row().status is Status.PASS
    mixed = inspect(check("2"), check("3"))
    mixed["Mounts"].reverse()
    mixed["ExecIDs"] = ["e1"]
    assert row(replace(inspect=mixed)).status is Status.PASS


def state(name: str, value: Any) -> dict[str, Any]:
    made = inspect(check("2"), check("3"))
    made["State"][name] = value
    return made


@pytest.mark.parametrize(
    ("change", "shows"),
    [
        (replace(log=31), "had 30 bytes, has 31"),
        (replace(inspect=inspect() | {"RestartCount": 1}), "was 0, is 1"),
        (replace(inspect=state("Pid", 8)), "was 7, is 8"),
        (replace(inspect=state("OOMKilled", True)), "True"),
        (replace(inspect=inspect(check("3", 1))), "exit code 1"),
        (replace(inspect=inspect(check("3", 0, "12 mails"))), "12 mails"),
        (replace(volumes=(*VOLUMES, "unlogged_alpha-log")), "no node has"),
        (
            replace(
                inspect=inspect(check("3"))
                | {"Mounts": [*MOUNTS, {"Type": "volume", "Name": "f00", "Destination": "/var"}]}
            ),
            "volume f00",
        ),
    ],
)
def test_what_is_new_is_evidence(change: Callable[[Kept], object], shows: str) -> None:
    found = row(change)
    assert found.status is Status.FAIL
    assert found.kind == "docker"
    assert any(shows in piece.what for piece in found.evidence), found.evidence


@pytest.mark.parametrize(
    "more",
    [
        [event("die", 1, "3")],
        [event("restart")],
        [event("oom")],
        [event("kill")],
        [event("exec_create: sh"), event("exec_start: sh")],
        [event("exec_create: remailer health", 1, id_="e2"), event("exec_die", 1.2, "1", "e2")],
    ],
)
def test_what_happened_to_it_is_evidence(more: list[dict[str, Any]]) -> None:
    assert row(events=[*ASKED, *more]).status is Status.FAIL


def test_a_check_that_docker_put_an_end_to_is_no_evidence() -> None:
    late = [event("exec_create: remailer health", 1, id_="e2"), event("exec_die", 6.1, "137", "e2")]
    slow = check("3", -1, "Health check exceeded timeout (5s)")
    assert row(replace(inspect=inspect(slow)), [*ASKED, *late]).status is Status.PASS


def test_without_the_twin_nothing_is_said() -> None:
    assert row(missed="an exec of ours was not told").status is Status.INCONCLUSIVE
    assert row(caused="").status is Status.INCONCLUSIVE
    assert row(replace(inspect=inspect(check("1")))).status is Status.INCONCLUSIVE
    assert row(replace(why="Docker is gone")).status is Status.INCONCLUSIVE
