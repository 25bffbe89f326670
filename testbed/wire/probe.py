"""Active probes of links, and of the certificate on port 25: what only who tries it can tell.

Who proved what is encrypted in TLS 1.3, so no sniffer can see it: it has to be tried. The trying
is done in a container at the prober's address (probe_agent.py); what it saw is judged here.
"""

from __future__ import annotations

import io
import json
import random
import tarfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import requests
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from docker.errors import APIError
from docker.models.containers import Container

from remailer.directory import Directory
from remailer.link import geometry
from remailer.link.cells import PART, VERSION, Word
from testbed.engine import refused
from testbed.errors import DockerError
from testbed.topology import PROBE_PORT, Link, Topology
from testbed.verdict import Control, Finding, judge
from testbed.web import Web
from testbed.wire.identities import (
    FRIEND,
    IMPOSTORS,
    LAPSED,
    OLD,
    RUDE,
    STRANGER,
    certificate,
    identities,
    key_pem,
)
from testbed.wire.probe_verdict import ATTEMPTS, FRIENDLY, findings

__all__ = ["Prober", "identities", "lookalikes", "task_of"]

WITHIN = 30.0
"""Seconds for everything."""
LINGER = 1.0
"""Seconds that the impostors stay after the last mail, to see whether one comes twice."""

_CELLS = {
    "size": geometry.CELL,
    "version": VERSION,
    "stored": int(Word.STORED),
    "part": PART,
    "head": geometry.HEAD.format,
    "answer": [geometry.ANSWERS_AT, geometry.ANSWER.format],
    "part_head": [geometry.PART_AT, geometry.PART.format],
    "data_at": geometry.DATA_AT,
}
"""What the agent has to know of cells (docs/link.md)."""

_AGENT = Path(__file__).with_name("probe_agent.py")


def task_of(
    topology: Topology, directory: Directory, rng: random.Random
) -> tuple[dict[str, Any], dict[str, str]]:
    """What the agent has to do, and the mark of each mail by `NODE>IMPOSTOR`."""
    first: dict[str, dict[str, Any]] = {
        "probe-wrong": {"pem": f"{STRANGER}.pem"},
        "probe-swapped": {"pem": f"{FRIEND}.pem"},
        "probe-expired": {"pem": f"{OLD}.pem"},
        "probe-old": {"pem": "probe-old.pem", "old": True},
        "probe-clear": {"clear": True},
    }
    nodes = topology.remailers
    # A mail system looks its peers up in the DNS, where nobody can be pinned: nothing to try.
    impostors = () if topology.link == Link.PORT25 else tuple(IMPOSTORS)
    marks = {f"{n.name}>{i}": f"probe{rng.getrandbits(64):016x}" for n in nodes for i in impostors}
    ports = {peer.name: peer.link_port for peer in directory.remailers}
    pinned = topology.link in (Link.TLS, Link.CELLS)
    friend = {"pem": f"{FRIEND}.pem"} if pinned else {"clear": True}
    faces = {
        node.name: {
            FRIENDLY: friend,
            "none": {},
            "stranger": {"pem": f"{STRANGER}.pem"},
            "swapped": {"pem": f"like-{_other(topology, node.name)}.pem"},
            "lapsed": {"pem": f"{LAPSED}.pem"},
            "old": {"pem": f"{FRIEND}.pem", "old": True},
            "clear": {"clear": True},
        }
        for node in nodes
    }
    task = {
        "listen": topology.prober,
        "within": WITHIN,
        "linger": LINGER,
        "attempts": ATTEMPTS,
        "mail_port": 25,
        "cells": _CELLS if topology.link is Link.CELLS else None,
        "lenient": f"{STRANGER}.pem",
        "changing": [f"{STRANGER}.pem", f"{FRIEND}.pem"],
        "nodes": {node.name: node.host for node in nodes},
        "link_ports": {node.name: ports[node.name] for node in nodes},
        "trusted": "\n".join(
            pem for node in nodes for pem in _entry(directory, node.name).certificates
        ),
        "impostors": [
            {
                "name": name,
                "port": ports.get(name, PROBE_PORT),
                "first": first[name],
                "rude": topology.link is Link.CELLS and name == RUDE,
                "right": {"pem": f"{name}.pem"},
            }
            for name in impostors
        ],
        "mails": {
            node.name: {i: _mail(node.address, i, marks[f"{node.name}>{i}"]) for i in impostors}
            for node in nodes
        },
        "faces": faces,
    }
    return task, marks


def lookalikes(topology: Topology, directory: Directory, stranger: bytes) -> dict[str, bytes]:
    """For each node a file with a stranger's key and a certificate that has the node's subject."""
    key = load_pem_private_key(stranger, None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("the prober's keys are RSA")
    shown = {
        node.name: x509.load_pem_x509_certificate(
            _entry(directory, node.name).certificates[0].encode()
        )
        for node in topology.remailers
    }
    return {
        f"like-{name}.pem": certificate(key, real.subject) + key_pem(key)
        for name, real in shown.items()
    }


def _entry(directory: Directory, name: str) -> Any:
    peer = directory.named(name)
    if peer is None:
        raise DockerError(f"directory: {name} is not in it: make down, then make up")
    return peer


def _other(topology: Topology, name: str) -> str:
    """A real peer of that node, whose name a stranger takes."""
    return next(n.name for n in topology.remailers if n.name != name)


def _mail(to: str, impostor: str, mark: str) -> str:
    """A mail that a node has to hand on to the impostor."""
    return (
        f"From: anybody@prober.remailer.test\r\nTo: {to}\r\nSubject: probe\r\n"
        f"Message-ID: <{mark}@prober.remailer.test>\r\n\r\n"
        f"::\r\nAnon-To: remailer@{impostor}.remailer.test\r\n\r\n{mark}\r\n"
    )


class Prober:
    """A container at the prober's address on the web's network, for the time of a run."""

    def __init__(self, web: Web, rng: random.Random, image: str) -> None:
        """`image`: any that has Python 3.13."""
        self.web, self.rng, self.image = web, rng, image
        self._container: Container | None = None
        self._marks: dict[str, str] = {}

    def __enter__(self) -> Prober:
        """Nothing is started yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove the container."""
        if self._container is not None:
            self._container.remove(force=True, v=True)
            self._container = None

    def start(self) -> None:
        """Let the agent begin; it works by itself. Raises DockerError."""
        topology, directory = self.web.topology, self.web.directory
        task, self._marks = task_of(topology, directory, self.rng)
        folder = self.web.state / "probe"
        files = {path.name: path.read_bytes() for path in sorted(folder.glob("*.pem"))}
        files |= lookalikes(topology, directory, files[f"{STRANGER}.pem"])
        files["task.json"] = json.dumps(task).encode()
        files["probe_agent.py"] = _AGENT.read_bytes()
        client = self.web.docker
        network = f"{topology.web}_web"
        address = client.api.create_endpoint_config(ipv4_address=topology.prober)
        try:
            self._container = client.containers.create(
                self.image,
                ["/probe/probe_agent.py", "/probe/task.json"],
                entrypoint=["python3", "-I"],
                network=network,
                networking_config={network: address},
                cap_drop=["ALL"],
                security_opt=["no-new-privileges:true"],
                stop_signal="SIGKILL",
                labels={
                    "com.docker.compose.project": topology.web,
                    "unlogged.web": topology.web,
                    "unlogged.role": "prober",
                },
            )
            self._container.put_archive("/", _packed(files))
            self._container.start()
        except APIError as error:
            raise refused(error) from None

    def finish(self) -> list[Finding]:
        """Wait for the agent (it has a deadline of its own), and judge what it saw.

        An agent that failed makes every row inconclusive, with its last word.
        """
        if self._container is None:
            raise DockerError("prober: not started")
        said, why = b"", ""
        try:
            status = int(self._container.wait(timeout=WITHIN + 30)["StatusCode"])
            said = self._container.logs(stdout=True, stderr=False)
            if status:
                words = self._container.logs(stdout=False, stderr=True).decode(errors="replace")
                why = (words.strip().splitlines() or ["without a word"])[-1]
        except APIError as error:
            raise refused(error) from None
        except requests.exceptions.RequestException:
            why = "no answer within its time"
        if why:
            failed = Control("the prober did its work", found=False, where=why)
            return [
                judge(claim, node.name, looked_at="nothing", controls=(failed,))
                for claim in ("link-refuses", "link-pinned", "port25-cert")
                for node in self.web.topology.remailers
            ]
        return findings(self.web.topology, json.loads(said), self._marks)


def _packed(files: Mapping[str, bytes]) -> bytes:
    """A tar archive of the folder /probe, which only its root can read."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        folder = tarfile.TarInfo("probe")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o700
        tar.addfile(folder)
        for name, data in files.items():
            entry = tarfile.TarInfo(f"probe/{name}")
            entry.size, entry.mode = len(data), 0o600
            tar.addfile(entry, io.BytesIO(data))
    return packed.getvalue()
