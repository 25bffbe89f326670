"""A bench as small as can be: everything is measured, nothing stays. Not how fast anything is."""

from __future__ import annotations

import os

import pytest
from docker import DockerClient

from testbed import compose
from testbed.bench.run import Plan, bench
from testbed.report.progress import Progress

pytestmark = pytest.mark.web

MEASURED = {
    "up", "hop_1993", "hop_postfix", "capacity_tls", "capacity_clear", "processor_1993",
    "processor_postfix", "memory", "witnesses", "peel_curve25519_gpg", "peel_curve25519_client",
    "peel_rsa3072_gpg", "peel_rsa3072_client", "peel_own_client",
    "cells", "cells_cover", "cells_mail", "cells_added", "idle", "idle_mesh", "goodput",
    "latency_p50", "latency_p95",
}  # fmt: skip


def test_everything_is_measured_and_nothing_stays(docker_client: DockerClient) -> None:
    name = f"pytest-bench-{os.getpid()}"
    plan = Plan(pairs=1, mails=40, layers=8, cells=400, idle=1.0, rides=4, mesh=4)
    found = bench(docker_client, compose.ROOT / ".cache", name, plan, 1, Progress())
    told = found.as_dict()
    assert told["comparisons"].keys() == MEASURED
    for one in told["comparisons"].values():
        assert one["ratio"] > 0
        assert one["n"] == len(one["pairs"]) == 1
    assert told["processor_time"]["parts"].keys() == {"in", "peel", "spool", "out"}
    assert not [c.name for c in docker_client.containers.list(all=True) if name in str(c.name)]
    assert not [v.name for v in docker_client.volumes.list() if name in str(v.name)]
    assert not [n.name for n in docker_client.networks.list() if name in str(n.name)]
    assert not list((compose.ROOT / ".webs").glob(f"{name}*"))
