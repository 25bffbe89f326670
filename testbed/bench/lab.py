"""The lab of a hop: one remailer, whom it is compared with, who feeds them and where it all ends.

alpha is the stock image, started as in a web. bravo (the sink) and charlie (who feeds) have a
remailer's keys but are bare programs. `gpg` is a remailer of 1993, `postfix` merely relays. All are
on one network without a way out, and nobody has a processor of his own: the pairs share them alike.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from docker import DockerClient
from docker.errors import APIError
from docker.models.containers import Container
from docker.types import IPAMConfig, IPAMPool

from testbed import compose, keys, subnet, teardown
from testbed.bench import inside
from testbed.engine import refused, wait_for
from testbed.errors import WebError
from testbed.topology import LINK_PORT, Link, Node, Topology

LETTERS = 32
"""Distinct letters; they are sealed anew for nobody, but each mail has an ID of its own."""
READY_WITHIN = 60.0
FED_WITHIN = 240.0
"""Seconds that one sample may take."""
SPOOL = "/var/lib/remailer/spool"
KEYS = "/var/lib/remailer/keys"


@dataclass(frozen=True)
class Way:
    """One way that mail may take to the sink."""

    host: str
    port: int
    tls: bool
    to: str
    letters: str
    arrives: bool = True


@dataclass(frozen=True)
class Fed:
    """What one sample gave."""

    rate: float
    """Mails a second, from the first connection to the last arrival."""


@dataclass
class Lab:
    """The containers by name, the ways through them, and how to feed and look."""

    docker: DockerClient
    topology: Topology
    seed: int
    containers: dict[str, Container] = field(default_factory=dict)

    @property
    def ways(self) -> dict[str, Way]:
        """Each way by its name."""
        alpha, bravo, _ = self.topology.remailers
        net = self.topology.net
        return {
            "hop": Way(alpha.host, LINK_PORT, True, alpha.address, "alpha"),
            "null": Way(alpha.host, LINK_PORT, True, alpha.address, "null", arrives=False),
            "gpg": Way(f"{net}.251", 25, False, "remailer@gpg.test", "gpg"),
            "postfix": Way(f"{net}.252", 25, False, bravo.address, "clear"),
            "sink in TLS": Way(bravo.host, LINK_PORT, True, bravo.address, "clear"),
            "sink in clear": Way(bravo.host, 25, False, bravo.address, "clear"),
        }

    def feed(self, name: str, mails: int) -> Fed:
        """Feed that many mails along a way; raises WebError unless all arrive."""
        way = self.ways[name]
        told = {
            "host": way.host, "port": way.port, "tls": way.tls, "to": way.to,
            "letters": f"/tmp/letters/{way.letters}", "mails": mails,
            "sink": self.topology.remailers[1].host,
            "arrivals": mails if way.arrives else 0, "within": FED_WITHIN,
        }  # fmt: skip
        fed = self._told("charlie", "feed", json.dumps(told))
        if fed["failed"] or (way.arrives and fed["arrived"] != mails):
            why = next(iter(fed["failed"]), f"{fed['arrived']} of {mails} mails arrived")
            raise WebError(f"bench: {name}: {why} ({fed['unmarked']} of them unopened)")
        return Fed(mails / fed["seconds"])

    def container(self, service: str) -> Container:
        """One of them, as Docker has it now."""
        container = self.containers[service]
        container.reload()
        return container

    def look(self) -> dict[str, Any]:
        """What alpha's threads and processes have cost so far (agent/processes.py)."""
        return self._told("looker", "processes")

    def look_when_idle(self) -> dict[str, Any]:
        """The same, once nothing is being done any more."""
        before: dict[str, Any] = {}
        now = self.look()
        deadline = time.monotonic() + FED_WITHIN
        while before != now and time.monotonic() < deadline:
            time.sleep(0.5)
            before, now = now, self.look()
        return now

    def processor(self, name: str) -> float:
        """Seconds of processor time that a whole container has taken so far, by its cgroup."""
        return inside.processor(self.docker, self.containers[name])

    def run(self, name: str, *command: str) -> bytes:
        """Run a command in a container; raises WebError with its last word."""
        return inside.run(self.containers[name], *command)

    def _told(self, name: str, agent: str, *arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = inside.told(self.containers[name], agent, *arguments)
        return found

    # -- setting up --------------------------------------------------------------------------

    def start(self, images: dict[str, str]) -> None:
        """Make network, keys and containers, and wait until everybody is ready."""
        topology, remailer, bench = self.topology, images["remailer"], images["bench"]
        labels = {"unlogged.web": topology.web}
        pool = IPAMPool(subnet=f"{topology.net}.0/24")
        self.docker.networks.create(
            topology.web, internal=True, labels=labels, ipam=IPAMConfig(pool_configs=[pool])
        )
        alpha, bravo, charlie = topology.remailers
        for node in topology.remailers:
            for kind in ("keys", "spool"):
                self.docker.volumes.create(f"{topology.web}_{node.name}-{kind}", labels=labels)
        public = compose.ROOT / ".webs" / topology.web / "public"
        keys.write_directory(
            public / "directory.json", keys.make_node_keys(self.docker, topology, remailer)
        )
        for path, mode in ((public, 0o755), (public / "directory.json", 0o644)):
            path.chmod(mode)
        run = ["run", "--resolver", topology.dns, "--pool", "off"]
        self._node(alpha, remailer, run, read_only=True)
        self._node(bravo, bench, ["python3", "-m", "testbed.bench.agent.sink"])
        self._node(charlie, bench, ["sleep", "infinity"])
        for name, host, *role in (("gpg", 251, "remailer"), ("postfix", 252)):
            command = ["postfix-bench", f"{name}.test", bravo.host, *map(str, role)]
            queue = {f"{topology.web}_{name}-queue": {"bind": "/var/spool/postfix", "mode": "rw"}}
            self.docker.volumes.create(f"{topology.web}_{name}-queue", labels=labels)
            self._container(name, bench, command, f"{topology.net}.{host}", volumes=queue)
        wait_for(self.containers["alpha"], b": ready", READY_WITHIN)
        for name in ("bravo", "gpg", "postfix"):
            wait_for(self.containers[name], b": ready", READY_WITHIN)
        self.containers["looker"] = self.docker.containers.run(
            bench, ["sleep", "infinity"], detach=True, labels=labels, network_mode="none",
            pid_mode=f"container:{self.containers['alpha'].id}", cap_drop=["ALL"], user="20009",
        )  # fmt: skip
        self._seal_letters()

    def _seal_letters(self) -> None:
        entries = json.loads(self.run("alpha", "cat", "/etc/remailer/directory.json"))["remailers"]
        certificates = {
            "alpha": entries[0]["openpgp"].encode(),
            "null": entries[0]["openpgp"].encode(),
            "gpg": self.run("gpg", "cat", "/home/remailer/remailer.asc"),
        }
        certificates["clear"] = certificates["gpg"]
        for name, certificate in certificates.items():
            keys.put_file(self.containers["charlie"], "/tmp", f"{name}.asc", certificate, 0o644)
            python = ("env", "GNUPGHOME=/tmp", "python3", "-m")
            module = "testbed.bench.agent.letters"
            where = (f"/tmp/{name}.asc", f"/tmp/letters/{name}")
            self.run("charlie", *python, module, *where, *map(str, (LETTERS, self.seed)))

    def _node(self, node: Node, image: str, command: Sequence[str], **options: Any) -> None:
        web = self.topology.web
        public = str(compose.ROOT / ".webs" / web / "public")
        self._container(
            node.name, image, command, node.host,
            hostname=node.domain,
            user=f"{node.uid}:{node.uid}",
            cap_drop=["ALL"],
            security_opt=["no-new-privileges:true"],
            volumes={
                public: {"bind": "/etc/remailer", "mode": "ro"},
                f"{web}_{node.name}-keys": {"bind": KEYS, "mode": "ro"},
                f"{web}_{node.name}-spool": {"bind": SPOOL, "mode": "rw"},
            },
            **options,
        )  # fmt: skip

    def _container(
        self, name: str, image: str, command: Sequence[str], host: str, **options: Any
    ) -> None:
        web = self.topology.web
        address = self.docker.api.create_endpoint_config(ipv4_address=host)
        self.containers[name] = self.docker.containers.create(
            image, list(command), name=f"{web}_{name}", labels={"unlogged.web": web}, network=web,
            networking_config={web: address}, **options,
        )  # fmt: skip
        self.containers[name].start()


@contextmanager
def lab(docker: DockerClient, images: dict[str, str], name: str, seed: int) -> Iterator[Lab]:
    """A lab for as long as it is needed; nothing of it stays."""
    topology = replace(Topology(name, Link.TLS, 3), net=subnet.free(docker, name))
    made = Lab(docker, topology, seed)
    try:
        made.start(images)
        yield made
    except APIError as error:
        raise refused(error) from None
    finally:
        with teardown.uninterrupted():
            teardown.remove_all(docker, name)
            shutil.rmtree(compose.ROOT / ".webs" / name, ignore_errors=True)
