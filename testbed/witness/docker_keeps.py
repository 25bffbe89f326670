"""Claim `docker-keeps`: what Docker has on record of a node is the same after the load as before.

Events are read as they come: the engine remembers the last 256 of all its containers only.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from docker.errors import DockerException
from docker.models.containers import Container

from testbed.contract import KEYS, SPOOL
from testbed.run import Run
from testbed.topology import Topology
from testbed.verdict import Control, Evidence, Finding, judge, some
from testbed.witness.inside import TROUBLE, excerpt, reason, unseen
from testbed.witness.moments import Moment
from testbed.witness.output import TIMED_OUT

SEEN_WITHIN = 3.0
"""Seconds in which an event that we cause has to be seen."""

BINDS = frozenset({"/etc/remailer", "/gate"})
"""Where a node has what the machine gives it: the directory, and the program that lets it begin."""

PASSING = frozenset({"ExecIDs"})
"""Fields of `docker inspect` that tell what is being executed just now."""


@dataclass
class Kept:
    """What Docker had on record of a node at one moment, or why it can't be told."""

    inspect: Mapping[str, Any] = field(default_factory=dict)
    log: int = 0
    """Bytes in its log, with the times."""
    volumes: tuple[str, ...] = ()
    """Volumes of this web that have the node's name, or no name of ours."""
    why: str = ""


class Events:
    """Everything that Docker tells of a web's containers, as it comes."""

    def __init__(self, run: Run) -> None:
        """Begin to listen."""
        label = f"com.docker.compose.project={run.web.topology.web}"
        self.told: list[dict[str, Any]] = []
        self._stream = run.web.docker.events(
            decode=True, filters={"type": "container", "label": label}
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        # A stream that breaks is seen: our own event is not in it.
        with contextlib.suppress(Exception):
            self.told.extend(self._stream)

    def close(self) -> None:
        """Listen no longer."""
        with contextlib.suppress(Exception):
            self._stream.close()

    def wait_for(self, exec_id: str) -> bool:
        """Whether the end of what we executed is told in time."""
        deadline = time.monotonic() + SEEN_WITHIN
        while time.monotonic() < deadline:
            if any(_of(event, "execID") == exec_id for event in ended(list(self.told))):
                return True
            time.sleep(0.05)
        return False


class DockerKeeps:
    """Reads Docker's record of every node while nothing moves, and listens to events in between."""

    def __init__(self, run: Run) -> None:
        """Nothing is read yet."""
        self.run = run
        self.names = [node.name for node in run.web.topology.remailers]
        self.kept: dict[Moment, dict[str, Kept]] = {}
        self.caused: dict[str, str] = {}
        """By node: the id of what we executed in it."""
        self.missed: dict[str, str] = {}
        """By node: why the event that we caused was not seen."""
        self._events: Events | None = None

    def look(self, moment: Moment) -> None:
        """Read all nodes' records; begin and end to listen at the first and last moment."""
        if moment is Moment.DURING:
            return
        with ThreadPoolExecutor(4) as pool:
            if moment is Moment.BEFORE:
                with contextlib.suppress(*TROUBLE, DockerException):
                    self._events = Events(self.run)
            self.kept[moment] = dict(zip(self.names, pool.map(self._kept, self.names), strict=True))
            if moment is Moment.AFTER:
                list(pool.map(self._cause, self.names))
        if moment is Moment.AFTER and self._events:
            self._events.close()

    def _kept(self, node: str) -> Kept:
        try:
            container = self.run.web.container(node)
            log = container.logs(stdout=True, stderr=True, timestamps=True)
            found = self.run.web.docker.volumes.list()
            web = self.run.web.topology.web
            names = tuple(sorted(str(volume.name) for volume in found))
            volumes = tuple(name for name in names if name.startswith(f"{web}_{node}-"))
            return Kept(container.attrs, len(log), volumes)
        except (*TROUBLE, DockerException) as error:
            return Kept(why=reason(error))

    def _cause(self, node: str) -> None:
        """Ask for the node's health as Docker does, and see whether that is told."""
        try:
            container = self.run.web.container(node)
            made = self.run.web.docker.api.exec_create(container.id, health(container))["Id"]
            self.caused[node] = made
            self.run.web.docker.api.exec_start(made)
            if not (self._events and self._events.wait_for(made)):
                self.missed[node] = "an exec of ours was not told"
        except (*TROUBLE, DockerException) as error:
            self.missed[node] = reason(error)

    def findings(self) -> list[Finding]:
        """A row a node."""
        told = list(self._events.told) if self._events else []
        topology = self.run.web.topology
        return [
            row(
                topology,
                name,
                {moment: kept[name] for moment, kept in self.kept.items()},
                [event for event in told if _service(event) == name],
                self.caused.get(name, ""),
                self.missed.get(name, ""),
            )
            for name in self.names
        ]


def health(container: Container) -> list[str]:
    """The command with which Docker asks a node's health; its first word says how it is run."""
    test: list[str] = container.attrs["Config"]["Healthcheck"]["Test"][1:]
    return test


def _of(event: Mapping[str, Any], name: str) -> str:
    return str(event.get("Actor", {}).get("Attributes", {}).get(name, ""))


def _service(event: Mapping[str, Any]) -> str:
    return _of(event, "com.docker.compose.service")


def ended(events: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Those that tell the end of something executed."""
    return (event for event in events if event.get("Action") == "exec_die")


def row(
    topology: Topology,
    node: str,
    kept: Mapping[Moment, Kept],
    events: Sequence[Mapping[str, Any]],
    caused: str,
    missed: str,
) -> Finding:
    """The row of one node; `caused`: the id of what we executed, `missed`: why it wasn't seen."""
    for moment in (Moment.BEFORE, Moment.BETWEEN, Moment.AFTER):
        if moment not in kept or kept[moment].why:
            why = kept[moment].why if moment in kept else "it was not read"
            return unseen("docker-keeps", node, f"{moment}: {why}")
    first, last = kept[Moment.BEFORE], kept[Moment.AFTER]
    fresh = new_checks(first.inspect, last.inspect)
    return judge(
        "docker-keeps",
        node,
        looked_at=f"docker inspect {len(kept)} times, {len(events)} events, "
        f"{last.log:,} bytes of log, {len(last.volumes)} volumes",
        controls=[
            Control(
                "an event that we cause in its container is told",
                bool(caused) and not missed,
                missed or f"exec {caused[:12]}",
            ),
            Control("Docker's record of its health has grown older", bool(fresh)),
            Control("its log has the line of readiness", last.log > 0, f"{last.log} bytes"),
        ],
        evidence=some(
            [
                *_changed(kept),
                *_happened(events, last.inspect),
                *_health(fresh),
                *_volumes(topology, node, last),
            ]
        ),
        kind="docker",
    )


def flat(value: Any, name: str = "") -> dict[str, str]:
    """`docker inspect` as one value a name; without what is executed just now and the health."""
    if isinstance(value, Mapping):
        found: dict[str, str] = {}
        for key, inner in value.items():
            full = f"{name}.{key}" if name else str(key)
            if key not in PASSING and full != "State.Health":
                found |= flat(inner, full)
        return found
    if isinstance(value, list):
        return {name: str(sorted(map(str, value)))}  # mounts come in any order
    return {name: str(value)}


def _changed(kept: Mapping[Moment, Kept]) -> Iterator[Evidence]:
    moments = [moment for moment in Moment if moment in kept]
    for earlier, later in pairwise(moments):
        one, other = kept[earlier], kept[later]
        was, now = flat(one.inspect), flat(other.inspect)
        for name in sorted({*was, *now}):
            if was.get(name) != now.get(name):
                what = f"was {was.get(name)}, is {now.get(name)} {later}"
                yield Evidence(f"docker inspect: {name}", excerpt(what))
        if one.log != other.log:
            what = f"had {one.log} bytes, has {other.log} {later}"
            yield Evidence("docker logs", what)
        if one.volumes != other.volumes:
            yield Evidence("docker volume ls", excerpt(f"{one.volumes}, {later} {other.volumes}"))


def _happened(
    events: Sequence[Mapping[str, Any]], inspect: Mapping[str, Any]
) -> Iterator[Evidence]:
    """Every event but those of the health check, and of that only if it ended as it should."""
    check = inspect["Config"]["Healthcheck"]
    asked = " ".join(check["Test"][1:])
    begun: dict[str, int] = {}
    for event in events:
        action, id_ = str(event.get("Action")), _of(event, "execID")
        if action in {f"exec_create: {asked}", f"exec_start: {asked}"}:
            begun.setdefault(id_, event["timeNano"])
            continue
        code = _of(event, "exitCode")
        if action.startswith("health_status") or (action, code) == ("exec_die", "0"):
            continue
        # Docker puts an end to what takes too long, with a code of its own.
        if action == "exec_die" and event["timeNano"] - begun.get(id_, 0) >= check["Timeout"]:
            continue
        yield Evidence("docker events", excerpt(action + (f", exit code {code}" if code else "")))


def new_checks(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Health checks on record that were not there at the earlier moment."""
    known = {check["Start"] for check in _checks(earlier)}
    return [check for check in _checks(later) if check["Start"] not in known]


def _checks(inspect: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = inspect["State"].get("Health", {}).get("Log") or []
    return found


def _health(checks: Sequence[Mapping[str, Any]]) -> Iterator[Evidence]:
    for check in checks:
        said = str(check.get("Output", ""))
        if TIMED_OUT.fullmatch(said):
            continue
        if check.get("ExitCode") or said:
            what = f"exit code {check.get('ExitCode')}: {excerpt(said)}"
            yield Evidence(f"docker's record of the health check, {check['Start']}", what)


def _volumes(topology: Topology, node: str, kept: Kept) -> Iterator[Evidence]:
    """Mounts and volumes that no node has."""
    declared = {f"{topology.web}_{node}-keys": KEYS, f"{topology.web}_{node}-spool": SPOOL}
    for mount in kept.inspect["Mounts"]:
        name, at = str(mount.get("Name", "")), str(mount["Destination"])
        ours = at in BINDS or (node in topology.leaks and at == "/opt/leaks/leaks")
        if not (declared.get(name) == at or (mount["Type"] == "bind" and ours)):
            yield Evidence(f"docker inspect: a mount at {at}", f"{mount['Type']} {name}")
    for name in kept.volumes:
        if name not in declared:
            yield Evidence("docker volume ls", f"{name}, which no node has")
    state = kept.inspect["State"]
    for field_, usual in (("OOMKilled", False), ("Error", ""), ("ExitCode", 0)):
        if state.get(field_, usual) != usual:
            yield Evidence(f"docker inspect: State.{field_}", excerpt(str(state[field_])))
