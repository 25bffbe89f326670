"""Claim `no-way-out`: a node's only network is the web's, which is shut; no other is reached.

Engines differ in whether a shut network has a default route (20.10 gives one and drops what takes
it), so the routing table proves nothing: it is tried, from the node's own network namespace.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from docker.errors import DockerException
from docker.models.containers import Container

from testbed.errors import WebError
from testbed.run import Run
from testbed.verdict import Control, Evidence, Finding, judge
from testbed.witness.inside import TROUBLE, reason, unseen

IMAP, SMTP = 143, 25
PATIENCE = 1.5
"""Seconds that a connection may take; inside the web it takes less than a hundredth."""

TRIES = 3
"""A target answers if it does each time: for a moment, while Docker rewrites its rules because
another web comes or goes, a shut network may be open."""

_TRY = """
import socket, sys, time
for target in sys.argv[1:]:
    host, port = target.split(":")
    try:
        for _ in range({tries}):
            socket.create_connection((host, int(port)), {patience}).close()
            time.sleep(0.3)
        print(target, "answers")
    except OSError as error:
        print(target, "no:", error)
"""


@dataclass(frozen=True)
class Seen:
    """What was seen of one container: its networks that aren't shut, and which targets answered."""

    networks: tuple[str, ...]
    open_networks: tuple[str, ...]
    answers: dict[str, str]


def findings(run: Run) -> list[Finding]:
    """A row a node; a mail host, which is on a second network, is the control."""
    topology = run.web.topology
    nodes = [node.name for node in topology.remailers]
    host = topology.sender.name
    try:
        edge = _edge_address(run.web.container(topology.recipient.name), topology.recipient.host)
        targets = (f"{topology.recipient.host}:{SMTP}", f"{edge}:{IMAP}")
        with ThreadPoolExecutor(4) as pool:
            seen = dict(
                zip(
                    [host, *nodes],
                    pool.map(lambda name: _look(run, name, targets), [host, *nodes]),
                    strict=True,
                )
            )
    except (*TROUBLE, DockerException) as error:
        return [unseen("no-way-out", node, reason(error)) for node in nodes]
    web = f"{topology.web}_web"
    return [row(node, seen[node], seen[host], targets, web) for node in nodes]


def _edge_address(container: Container, inside: str) -> str:
    """A mail host's address on its other network: outside the web."""
    networks: dict[str, Any] = container.attrs["NetworkSettings"]["Networks"]
    for network in networks.values():
        if network["IPAddress"] not in {inside, ""}:
            return str(network["IPAddress"])
    raise WebError(f"{container.name}: it is on no other network than the web's")


def _look(run: Run, name: str, targets: Sequence[str]) -> Seen:
    """Try to reach the targets from a container's network namespace."""
    docker, container = run.web.docker, run.web.container(name)
    networks = [
        docker.networks.get(n["NetworkID"])
        for n in container.attrs["NetworkSettings"]["Networks"].values()
    ]
    said = docker.containers.run(
        run.web.images["witness"],
        ["python3", "-c", _TRY.format(patience=PATIENCE, tries=TRIES), *targets],
        network_mode=f"container:{container.id}",
        cap_drop=["ALL"],
        labels={"unlogged.web": run.web.topology.web},
        remove=True,
    ).decode()
    return Seen(
        tuple(str(n.name) for n in networks),
        tuple(str(n.name) for n in networks if not n.attrs["Internal"]),
        dict(line.split(" ", 1) for line in said.splitlines()),
    )


def row(node: str, seen: Seen, host: Seen, targets: tuple[str, str], web: str) -> Finding:
    """The row of one node, whose only network has to be `web`."""
    inside, outside = targets
    bad = [Evidence(f"network {n}", f"is not {web}") for n in seen.networks if n != web]
    bad += [Evidence(f"network {name}", "is not internal") for name in seen.open_networks]
    if seen.answers.get(outside) == "answers":
        bad.append(Evidence(f"connection to {outside}", "was answered, from outside the web"))
    return judge(
        "no-way-out",
        node,
        looked_at=f"{', '.join(seen.networks)}; a connection to {outside}",
        controls=[
            Control("it is on the web's network", web in seen.networks, ", ".join(seen.networks)),
            Control(
                "the same try reaches a mail host inside the web",
                seen.answers.get(inside) == "answers",
                f"{inside} {seen.answers.get(inside, 'was not tried')}",
            ),
            Control(
                "the sender's mail host, which has a way out, reaches the outside address",
                host.answers.get(outside) == "answers" and bool(host.open_networks),
                f"{outside} {host.answers.get(outside, 'was not tried')}",
            ),
        ],
        evidence=bad,
        kind="way out",
    )
