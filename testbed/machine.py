"""On what a measurement was made: all that figures depend on, nothing that names the machine."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata

from docker import DockerClient

from testbed import compose


def machine(docker: DockerClient) -> dict[str, str]:
    """What a figure may depend on."""
    told = docker.info()
    return {
        "cores": str(told["NCPU"]),
        "memory": f"{told['MemTotal'] / 2**30:.0f} GiB",
        "architecture": platform.machine(),
        "kernel": str(told["KernelVersion"]),
        "storage": str(told["Driver"]),
        "load at the end": " ".join(f"{load:.1f}" for load in os.getloadavg()),
    }


def versions(docker: DockerClient) -> dict[str, str]:
    """What it was made with."""
    return {
        "unlogged": metadata.version("unlogged"),
        "python": platform.python_version(),
        "docker": str(docker.version()["Version"]),
        "compose": compose.version(),
    }


def commit() -> str:
    """The checkout's commit, with a + if something was changed since; empty: there is none."""
    told = subprocess.run(
        ["git", "describe", "--always", "--dirty=+", "--abbrev=40", "--exclude=*"],
        cwd=compose.ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return told.stdout.strip()
