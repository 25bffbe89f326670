"""The Compose file of a web, rendered from its topology, and the Compose command that reads it."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import jinja2

from testbed.errors import DockerError, UsageError
from testbed.topology import Link, Node, Topology

ROOT = Path(__file__).resolve().parent.parent
"""The checkout: where compose.yaml, images/ and tests/leaks/ are."""

MAILHOST_CAPS = ("CHOWN", "DAC_OVERRIDE", "KILL", "SETGID", "SETUID", "SYS_CHROOT")
WITNESS_CAPS = ("DAC_READ_SEARCH", "SYS_PTRACE")
RECORDER_CAPS = ("SYS_ADMIN", "SYS_CHROOT")
"""What watching from the first instruction takes besides: marks, tracepoints, namespaces."""


def render(topology: Topology) -> str:
    """The Compose file of a web. What differs from machine to machine stays a variable."""
    default = topology == Topology()
    headline = (
        "The default web: five remailers, two ordinary mail hosts, DNS, a sniffer and a witness."
        if default
        else f"A web of {topology.nodes} remailers, made by `testbed render`."
    )
    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    env = jinja2.Environment(loader=loader, keep_trailing_newline=True, autoescape=False)
    return env.get_template("compose.yaml.j2").render(
        topology=topology,
        headline=headline,
        mailhost_caps=MAILHOST_CAPS,
        witness_caps=WITNESS_CAPS + (RECORDER_CAPS if topology.witness == "full" else ()),
        run=", ".join(_run(topology)),
        environment=lambda node: ", ".join(_environment(topology, node)),
        last_octet=lambda host: host.rpartition(".")[2],
    )


def _run(topology: Topology) -> Iterator[str]:
    """The remailer's arguments, as items of a YAML list."""
    yield from ("run", "--resolver", '"${UNLOGGED_NET}.2"', "--pool", '"${UNLOGGED_POOL}"')
    yield from ["--cells", f'"{topology.cells}"'] if topology.link is Link.CELLS else []
    yield from ["--hosted"] if topology.hosted else ["--rate", '"1000000"']


def _environment(topology: Topology, node: Node) -> Iterator[str]:
    """A node's variables, as items of a YAML mapping."""
    if topology.hosted:
        yield 'RESOLVER: "${UNLOGGED_NET}.2"'
        yield f'REMAILER_UID: "{node.uid}"'
    if node.name in topology.leaks:
        yield "PYTHONPATH: /opt/leaks"


def variables(topology: Topology, state: Path, images: Mapping[str, str]) -> dict[str, str]:
    """The variables that the Compose file wants."""
    return {
        "UNLOGGED_STATE": str(state),
        "UNLOGGED_LEAKS": str(ROOT / "tests" / "leaks"),
        "UNLOGGED_NET": topology.net,
        "UNLOGGED_POOL": topology.pool,
        "UNLOGGED_BRIDGE": topology.bridge,
        "UNLOGGED_EDGE_BRIDGE": topology.edge_bridge,
    } | {f"UNLOGGED_{name.upper().replace('-', '_')}_IMAGE": tag for name, tag in images.items()}


PATIENCE = 300.0
"""Seconds that one call of Compose may take: 200 nodes are created in ten."""


@lru_cache(maxsize=1)
def command() -> tuple[str, ...]:
    """The Compose command: $COMPOSE if set, else `docker compose`, else `docker-compose`."""
    if chosen := shlex.split(os.environ.get("COMPOSE", "")):
        if not shutil.which(chosen[0]):
            raise UsageError(f"COMPOSE={' '.join(chosen)!r}: there is no such command")
        return tuple(chosen)
    if shutil.which("docker"):
        plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
        if plugin.returncode == 0:
            return ("docker", "compose")
    if shutil.which("docker-compose"):
        return ("docker-compose",)
    raise DockerError(
        "Compose is missing: install your system's docker-compose or docker-compose-plugin package"
    )


def version() -> str:
    """The Compose version, for the record."""
    run = subprocess.run(
        [*command(), "version", "--short"], capture_output=True, text=True, check=False
    )
    return run.stdout.strip() or "unknown"


def compose(web: str, state: Path, arguments: Sequence[str]) -> None:
    """Run Compose on the web's own file, in a session of its own: Ctrl-C is ours to handle.

    Raises DockerError with Compose's last word, on one line.
    """
    argv = [
        *command(), "-p", web, "--env-file", str(state / "env"),
        "-f", str(state / "compose.yaml"), *arguments,
    ]  # fmt: skip
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Compose 1.29 locks up when there is more to do than its limit lets it do at a time.
        env=os.environ | {"COMPOSE_PARALLEL_LIMIT": "1000", "COMPOSE_PROGRESS": "quiet"},
    )
    try:
        _, said = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise DockerError(
            f"{' '.join(command())} {arguments[0]}: no end after {PATIENCE:.0f} s: try fewer NODES"
        ) from None
    except BaseException:
        # Not killed at once: what it has asked Docker for is made all the same.
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()
        raise
    if process.returncode:
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        raise DockerError(f"{' '.join(command())} {arguments[0]}: {_last_word(lines)}")


def _last_word(lines: Sequence[str]) -> str:
    """The line that says why: Compose 1.29 ends with a summary that says nothing."""
    telling = [
        ln for ln in lines if not ln.startswith("Encountered errors") and "Creating" not in ln
    ]
    return (telling or list(lines) or ["failed without a word"])[-1]
