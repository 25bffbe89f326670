"""The matrix on one small web: its form, that it goes on where it was, and that nothing stays."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from docker import DockerClient

from testbed.attack import run
from testbed.attack.case import Case
from testbed.attack.catalogue import ATTACKS
from testbed.attack.expected import Expected
from testbed.attack.load import Size
from testbed.attack.physical import BY_NAME
from testbed.cli import CACHE
from testbed.report.progress import Progress
from testbed.topology import Link
from testbed.web import Web

pytestmark = pytest.mark.web

SMALL = Size(forward=3, reply=2, sealed=2, rounds=1, rate=2.0)
PLAN = run.Plan(stages=(Link.SMTP,), pools=(run.OFF,), nodes=3, size=SMALL)


def test_a_small_matrix_has_every_field_and_what_is_known_stays_known(
    docker_client: DockerClient, images: dict[str, str], tmp_path: Path
) -> None:
    name = f"pytest-matrix-{os.getpid()}"
    lab = run.Lab(docker_client, CACHE, name, tmp_path)
    found = run.matrix(lab, PLAN, 3, Progress())
    (case,) = found.cases
    assert case.trouble == ""
    assert case.arrived == case.sent == SMALL.mails * 6
    for attack in ATTACKS:
        (field,) = found.row(attack)
        assert field.score is not None or field.expected is Expected.NOTHING or field.why
    # What can't be left to chance: text that goes on unchanged, marks, and the one mail of n.
    for certain in ("content, reply", "tagging", "n-1"):
        score = found.fields[certain, "smtp", "off"].score
        assert score is not None
        assert score.value == 1.0, certain
        assert score.low <= score.value <= score.high
    combined = found.fields["combined", "smtp", "off"].score
    assert combined is not None
    assert combined.n == 6 * 7
    assert combined.value > combined.chance

    assert Web.find(docker_client, f"{name}-1") is None
    again = run.matrix(lab, PLAN, 3, Progress())
    assert again.cases == found.cases
    assert again.seconds < found.seconds / 2


def test_a_plant_at_every_node_is_found_by_its_attack(
    docker_client: DockerClient, images: dict[str, str], tmp_path: Path
) -> None:
    lab = run.Lab(docker_client, CACHE, f"pytest-plants-{os.getpid()}", tmp_path)
    sent = Size(forward=10, reply=0, sealed=0, tagged=0, rounds=0)
    plan = run.Plan((), (), nodes=3, size=sent, plants=(BY_NAME["cells_unpadded"],))
    found = run.matrix(lab, plan, 3, Progress())
    (one,) = found.searches
    assert (one.tried.trouble, one.tried.arrived) == ("", one.tried.sent)
    assert one.found
    again = run.matrix(lab, plan, 3, Progress())
    assert again.plants == found.plants


def test_users_with_proxies_write_and_their_lines_have_nothing_but_cells(
    docker_client: DockerClient, images: dict[str, str], tmp_path: Path
) -> None:
    sent = Size(forward=6, reply=0, sealed=0, tagged=0, rounds=0, rate=2.0)
    plan = run.Plan(stages=(Link.CELLS,), pools=(run.OFF,), nodes=2, size=sent)
    name = f"pytest-users-{os.getpid()}"
    jobs = [job for job in run._jobs(name, plan) if job.topology.proxies]
    lab = run.Lab(docker_client, CACHE, name, tmp_path)
    (case,) = run._measured(lab, images, jobs, 3, Progress(), beside=True)
    assert isinstance(case, Case)
    assert (case.stage, case.trouble) == ("proxy", "")
    assert case.arrived == case.sent == 12
    score = case.scores["author, padded"]
    assert score is not None
    assert score.n == 12
    assert set(case.scores) == {"author, padded", "author, all mails", "user's line"}
