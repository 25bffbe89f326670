"""A web: brought up from its topology, found again by its name, taken down without a trace."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from typing import Any

from docker import DockerClient
from docker.errors import APIError
from docker.models.containers import Container

from remailer.directory import Directory, Peer, load
from testbed import agent, compose, gate, keys, subnet, teardown, zones
from testbed.contract import WRITTEN
from testbed.engine import explain, refused, state_of, wait_for
from testbed.errors import DockerError, WebError
from testbed.topology import Link, MailHost, Topology
from testbed.wire.identities import identities

Phase = Callable[[str], AbstractContextManager[Any]]
"""Names a phase of the work while it lasts, for whoever watches."""

READY = {
    "remailer": ": ready",
    "proxy": " answers\n",
    "mailhost": "mailhost: ready",
    "dns": "nsd started",
    "sniffer": "File:",
    "witness": "witness: ready",
}
"""What each kind of container says when it is ready."""

WATCHED_WITHIN = 60.0
"""Seconds that the witness may take until it watches."""

SPOILED = "verifying"
"""A file in the web's state for as long as a verification runs: its mail is still under way."""

JUDGED = "judged"
"""A file in its state after a verification of links of cells: they stay up, and no later capture
has their beginning."""

STARTED_AT_ONCE = 4
"""Containers that Docker is asked for side by side: more are no quicker."""

READY_WITHIN = 60.0
"""Seconds that a web has to become ready."""


class Web:
    """One web, by its name; all of it carries the name as a label."""

    def __init__(self, docker: DockerClient, topology: Topology) -> None:
        """Nothing is started or looked up yet."""
        self.docker = docker
        self.topology = topology
        self.state = compose.ROOT / ".webs" / topology.web
        self.images: dict[str, str] = {}

    @classmethod
    def find(cls, docker: DockerClient, name: str) -> Web | None:
        """The web of that name if it is up, None if nothing of it is there.

        Raises WebError when it is neither: half up, or left over from an earlier time.
        """
        web = cls(docker, Topology(web=name))
        parts = web._parts()
        if not parts and not web.state.exists():
            return None
        try:
            told = json.loads((web.state / "web.json").read_text())
            web.images = told.pop("images")
            web.topology = Topology(**told | {"link": Link(told["link"])})
        except (OSError, ValueError, TypeError, KeyError):  # or of another version of this project
            raise WebError(
                f"web {name}: remains of an earlier web are in the way: {web.topology.make('down')}"
            ) from None
        missing = web._services() - {str(c.labels.get("com.docker.compose.service")) for c in parts}
        # Not the sniffer: it ends when its file is full, and only a verification minds.
        still = [
            c.name
            for c in parts
            if state_of(c) in {"exited", "dead", "created", "paused"}
            and c.labels.get("com.docker.compose.service") != "sniffer"
        ]
        if (web.state / SPOILED).exists():
            raise WebError(
                f"web {name}: mail of an interrupted verify is in it: "
                f"{web.topology.make('down')}, then again"
            )
        if missing or still:
            named = ", ".join(sorted(str(part) for part in (*missing, *still)))
            raise WebError(
                f"web {name}: not whole ({named} not running): "
                f"{web.topology.make('down')}, then again"
            )
        return web

    def must_be_fresh(self) -> None:
        """For another verification. Raises WebError."""
        if (self.state / JUDGED).exists():
            raise WebError(
                f"web {self.topology.web}: its links are older than what a sniffer could capture: "
                f"{self.topology.make('down')}, then again"
            )

    def _services(self) -> set[str]:
        nodes = {node.name for node in self.topology.remailers}
        guests = {guest.name for guest in self.topology.guests}
        hosts = {host.name for host in self.topology.mailhosts}
        return nodes | guests | hosts | {"dns", "sniffer", "witness"}

    # -- up ---------------------------------------------------------------------------------

    def up(self, images: Mapping[str, str], phase: Phase, *, ports: int = 0) -> None:
        """Bring the web up; when anything goes wrong, or it is interrupted, nothing of it stays.

        Whoever interrupts the taking down as well is heard after it: it is a matter of seconds.
        """
        try:
            with phase("networks and volumes"):
                self.prepare(images, ports=ports)
                self._compose("up", "--no-start")
            self.open(phase)
        except APIError as error:
            self.down()
            raise refused(error) from None
        except BaseException:
            self.down()
            raise

    def prepare(self, images: Mapping[str, str], *, ports: int = 0) -> None:
        """Write the web's state: its Compose file and variables, zones and settings."""
        self.images = dict(images)
        self.topology = replace(self.topology, net=subnet.free(self.docker, self.topology.web))
        self._write_state(ports)

    def open(self, phase: Phase) -> None:
        """From created containers to a web that is ready: all that watches, then the nodes."""
        nodes = [node.name for node in self.topology.remailers]
        hosts = [host.name for host in self.topology.mailhosts]
        self._put_passwords()
        with phase("keys, each made by its own node"), ThreadPoolExecutor(1) as pool:
            made = pool.submit(self._make_keys)
            # Before any node, and beside the keys: making those takes most of the time.
            self._compose("up", "-d", "--no-recreate", "sniffer", "witness", "dns", *hosts)
            for watcher in ("sniffer", "witness"):
                self._wait_for(watcher, READY[watcher])
            entries = made.result()
        with phase("remailers and mail hosts"), ThreadPoolExecutor(1) as pool:
            # Nodes read it when they are through their gate.
            written = pool.submit(self._write_directory, entries)
            self._start(nodes)
            self._watch(nodes)
            written.result()
            gate.open_(self.state / "gate")
            self._wait_until_ready()
        if guests := [guest.name for guest in self.topology.guests]:
            with phase("users with proxies"), ThreadPoolExecutor(len(guests)) as pool:
                self._start(guests)
                list(pool.map(lambda guest: self._wait_for(guest, READY["proxy"]), guests))

    def _watch(self, nodes: Sequence[str]) -> None:
        """Have the witness watch the nodes, which wait at their gate. If it can't, it says so."""
        if self.topology.witness == "full":
            list(agent.stream(self, "watch", nodes, declared=WRITTEN, within=WATCHED_WITHIN))

    def _write_state(self, ports: int) -> None:
        self.state.mkdir(parents=True, mode=0o700, exist_ok=True)
        # The folder is private; what is mounted from it is public, whatever the umask is.
        for name in ("public", "dns"):
            (self.state / name).mkdir(exist_ok=True)
            (self.state / name).chmod(0o755)
        gate.close(self.state / "gate")
        for name, text in zones.files(self.topology).items():
            (self.state / "dns" / name).write_text(text)
            (self.state / "dns" / name).chmod(0o644)
        default = replace(self.topology, web="unlogged", net=Topology.net, link=Topology.link,
                          pool=Topology.pool) == Topology()  # fmt: skip
        text = (
            (compose.ROOT / "compose.yaml").read_text()
            if default
            else compose.render(self.topology)
        )
        (self.state / "compose.yaml").write_text(text)
        variables = compose.variables(self.topology, self.state, self.images)
        for offset, host in enumerate(self.topology.mailhosts):
            for service, extra in (("SUBMISSION", 0), ("IMAP", 1)):
                chosen = str(ports + 2 * offset + extra) if ports else ""
                variables[f"UNLOGGED_{host.name.upper()}_{service}"] = chosen
        (self.state / "env").write_text("".join(f"{k}={v}\n" for k, v in variables.items()))
        told = asdict(self.topology) | {"images": self.images}
        (self.state / "web.json").write_text(json.dumps(told, indent=1) + "\n")

    def _make_keys(self) -> list[Peer]:
        """The nodes' entries; the guests' are written."""
        entries = keys.make_node_keys(self.docker, self.topology, self.images["remailer"])
        guests = keys.make_guest_keys(self.docker, self.topology, self.images["remailer"])
        for name, theirs in guests.items():
            keys.write_guests(self.state / "public" / f"guests-{name}.json", theirs)
        return entries

    def _write_directory(self, entries: Sequence[Peer]) -> None:
        """Write the directories, the nodes' with the prober's entries in it, and its keys."""
        prober, files = identities(self.topology, entries[0].openpgp)
        for name, data in files.items():
            keys.write_secret(self.state / "probe" / name, data)
        directory = self.state / "public" / "directory.json"
        keys.write_directory(directory, [*entries, *prober])
        directory.chmod(0o644)
        # What users get has no prober in it.
        keys.write_directory(self.state / "directory.json", entries)

    def _put_passwords(self) -> None:
        secrets = keys.passwords(random.SystemRandom(), self.topology.mailhosts)
        keys.write_secret(self.state / "users.json", json.dumps(secrets).encode())
        for host in self.topology.mailhosts:
            keys.put_passwords(self.container(host.name), host, secrets)

    def _start(self, services: Sequence[str]) -> None:
        """Start what Compose has created, without another start of Compose.

        Only for containers on one network: Compose 1.29 joins the second when it starts them.
        """
        with ThreadPoolExecutor(STARTED_AT_ONCE) as pool:
            list(pool.map(lambda service: self.container(service).start(), services))

    def _compose(self, *arguments: str) -> None:
        try:
            compose.compose(self.topology.web, self.state, arguments)
        except DockerError as error:
            raise DockerError(explain(str(error))) from None

    def _wait_until_ready(self) -> None:
        waiting = {node.name: READY["remailer"] for node in self.topology.remailers}
        waiting |= {host.name: READY["mailhost"] for host in self.topology.mailhosts}
        waiting |= {"dns": READY["dns"]}
        with ThreadPoolExecutor(len(waiting)) as pool:
            list(pool.map(self._wait_for, waiting.keys(), waiting.values()))
        for host in self.topology.mailhosts:
            self._write_swaksrc(host)

    def _wait_for(self, service: str, word: str) -> None:
        wait_for(self.container(service), word.encode(), READY_WITHIN)

    def _write_swaksrc(self, host: MailHost) -> None:
        at, port = self.published(host.name, 587)
        for user in host.users:
            address = f"{user}@{host.domain}"
            text = (
                f"--server {at}\n--port {port}\n--auth PLAIN\n--auth-user {address}\n"
                f"--auth-password {self.passwords[address]}\n--from {address}\n"
            )
            keys.write_secret(self.state / f"{user}.swaksrc", text.encode())
            keys.write_secret(self.state / f"{user}.password", self.passwords[address].encode())

    def wait_until_healthy(self) -> None:
        """Wait until every remailer's own health check says so, asked now and not at its turn."""
        with ThreadPoolExecutor(STARTED_AT_ONCE) as pool:
            list(pool.map(self._wait_until_well, [node.name for node in self.topology.remailers]))

    def _wait_until_well(self, node: str) -> None:
        container = self.container(node)
        # The first word says how the others are run: CMD, without a shell.
        test = container.attrs["Config"]["Healthcheck"]["Test"][1:]
        deadline = time.monotonic() + READY_WITHIN
        while container.exec_run(test).exit_code:
            if time.monotonic() > deadline:
                raise WebError(f"{node}: not healthy within {READY_WITHIN:.0f} s")
            time.sleep(0.2)

    # -- what it is --------------------------------------------------------------------------

    def _parts(self) -> list[Container]:
        label = f"com.docker.compose.project={self.topology.web}"
        found: list[Container] = self.docker.containers.list(all=True, filters={"label": label})
        return [c for c in found if "unlogged.role" not in c.labels]

    def container(self, service: str) -> Container:
        """The container of a service. Raises WebError if there is none."""
        labels = [
            f"com.docker.compose.project={self.topology.web}",
            f"com.docker.compose.service={service}",
        ]
        found = self.docker.containers.list(all=True, filters={"label": labels})
        if not found:
            raise WebError(
                f"web {self.topology.web}: no {service} here: {self.topology.make('up')}"
            )
        container: Container = found[0]
        return container

    def published(self, service: str, port: int) -> tuple[str, int]:
        """Where a mail host's port is published on this machine."""
        container = self.container(service)
        bound = (container.ports or {}).get(f"{port}/tcp")
        if not bound:
            raise WebError(f"{service}: port {port} is not published (is it running?)")
        return str(bound[0]["HostIp"]), int(bound[0]["HostPort"])

    @property
    def directory(self) -> Directory:
        """The web's public directory."""
        return load(self.state / "public" / "directory.json")

    @property
    def passwords(self) -> dict[str, str]:
        """The mail users' passwords by address."""
        read: dict[str, str] = json.loads((self.state / "users.json").read_text())
        return read

    def status(self) -> dict[str, str]:
        """Each service with its state, as Docker tells it."""
        parts = sorted(self._parts(), key=lambda c: str(c.name))
        return {str(c.labels["com.docker.compose.service"]): state_of(c) for c in parts}

    # -- down --------------------------------------------------------------------------------

    def down(self) -> int:
        """Remove every container, network and volume of this web, and its state with the keys.

        By labels, so that it also works on what a killed `up` left. Returns how much there was.
        """
        with teardown.uninterrupted():
            count = teardown.remove_all(self.docker, self.topology.web)
            if self.state.exists():
                shutil.rmtree(self.state)
                count += 1
            return count
