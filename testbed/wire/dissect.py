"""Dissects a capture with tshark, in a container of its own: we only ask, and parse no packets.

One pass over the file, with only the dissectors that are needed. The container has no network and
is labelled as part of its web, so that `make down` finds it should this process be killed.
"""

from __future__ import annotations

import json
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

from docker import DockerClient
from docker.errors import APIError
from docker.models.containers import Container

from remailer.keys import LINK_CERTIFICATE, LINK_KEY
from testbed.engine import refused
from testbed.errors import DockerError
from testbed.topology import LINK_PORT
from testbed.wire.asked import ASKED
from testbed.wire.packets import Wire, parse, wire

_ONLY = "frame,eth,ethertype,arp,ip,ipv6,ipv6.hopopts,icmp,icmpv6,igmp,tcp,udp,dns,tls,data"
_KEYS = "/keys"
"""Where the container has each node's keys, if it has them."""
_SAID = 2000
"""Bytes of its stderr that are kept."""
_OPENED = Path(__file__).with_name("opened_agent.py")


class Dissector:
    """A helper container of the sniffer's image, in which tshark runs."""

    def __init__(
        self, docker: DockerClient, web: str, image: str, keys: Mapping[str, str] | None = None
    ) -> None:
        """`web` is the name of the web that the container belongs to.

        `keys`: by node the volume with its keys. tshark is given the link keys in them, as if they
        had been seized; they are read in the container, and leave it nowhere.
        """
        self.docker, self.web, self.image, self.keys = docker, web, image, keys or {}
        self._container: Container | None = None

    def __enter__(self) -> Dissector:
        """Start the container. Raises DockerError."""
        try:
            self._container = self.docker.containers.run(
                self.image,
                ["infinity"],
                entrypoint=["sleep"],
                network_mode="none",
                cap_drop=["ALL"],
                cap_add=["DAC_READ_SEARCH"] if self.keys else [],
                volumes={
                    volume: {"bind": f"{_KEYS}/{node}", "mode": "ro"}
                    for node, volume in self.keys.items()
                },
                security_opt=["no-new-privileges:true"],
                stop_signal="SIGKILL",
                labels={
                    "com.docker.compose.project": self.web,
                    "unlogged.web": self.web,
                    "unlogged.role": "dissector",
                },
                detach=True,
            )
        except APIError as error:
            raise refused(error) from None
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

    def read(self, file: Path, bridge: str, link_ports: Sequence[int] = (LINK_PORT,)) -> Wire:
        """Dissect what was captured on one bridge. A file that is not there gives an empty Wire."""
        if self._container is None:
            raise DockerError("dissector: not started")
        if not file.exists():
            return Wire(trouble="there is no capture")
        only = ["-Y", f'frame.interface_name == "{bridge}"']
        try:
            with tempfile.TemporaryFile() as packed:
                _pack(file, packed)
                self._container.put_archive("/tmp", packed)
            return self._dissected("/tmp/capture.pcapng", link_ports, only)
        except APIError as error:
            raise refused(error) from None

    def opened(self) -> dict[str, str]:
        """Whether the keys open what they could: by node why not, or nothing.

        Tried on a connection of each node's own key in which the secret was sent under that key.
        """
        assert self._container is not None
        folders = {node: f"{_KEYS}/{node}" for node in self.keys}
        pairs = [(f"{it}/{LINK_CERTIFICATE}", f"{it}/{LINK_KEY}") for it in folders.values()]
        file = "/tmp/static.pcapng"
        task = {"pairs": pairs, "port": LINK_PORT, "text": "what was said", "file": file}
        argv = ["python3", "-I", "-c", _OPENED.read_text(encoding="utf-8"), json.dumps(task)]
        try:
            made = self._run(argv)
            _ = list(made)
            if made.status:
                return dict.fromkeys(folders, made.last or f"status {made.status}")
            found = self._dissected(file, (LINK_PORT,))
        except APIError as error:
            raise refused(error) from None
        ports = {port for p in found.packets if p.opened for port in (p.source_port, p.target_port)}
        why = found.trouble or "tshark did not open it"
        return {node: "" if n in ports else why for n, node in enumerate(folders, 1)}

    def _dissected(self, path: str, ports: Sequence[int], only: Sequence[str] = ()) -> Wire:
        argv = ["tshark", "-n", "-r", path, "--only-protocols", _ONLY]
        argv += ["-o", "tls.desegment_ssl_application_data:FALSE"]
        for node in self.keys:
            argv += ["-o", f'uat:rsa_keys:"{_KEYS}/{node}/{LINK_KEY}",""']
        # Whatever it speaks, tshark looks for TLS on the link port; bytes that are none stay bytes.
        for port in ports:
            argv += ["-d", f"tcp.port=={port},tls"]
        argv += [*only, "-T", "fields"]
        argv += ["-E", "separator=/t", "-E", "occurrence=a", "-E", "aggregator=,"]
        for name in ASKED:
            argv += ["-e", name]
        rows = self._run(argv)
        packets = parse(rows)
        trouble = f"tshark ended with {rows.status}: {rows.last}" if rows.status else ""
        return wire(packets, trouble)

    def _run(self, argv: Sequence[str]) -> _Run:
        assert self._container is not None
        return _Run(self.docker, self._container, argv)


class _Run:
    """A command in the container: its rows as they come, for all together may be gigabytes; when
    they have ended, its exit status and the last that it said on stderr."""

    def __init__(self, docker: DockerClient, container: Container, argv: Sequence[str]) -> None:
        self._api = docker.api
        self._made = self._api.exec_create(container.id, argv)["Id"]
        self.status, self.last = 0, ""

    def __iter__(self) -> Iterator[str]:
        begun, said = b"", b""
        for out, told in self._api.exec_start(self._made, stream=True, demux=True):
            said = (said + (told or b""))[-_SAID:]
            *rows, begun = (begun + (out or b"")).split(b"\n")
            yield from (row.decode("utf-8", "replace") for row in rows)
        if begun:
            yield begun.decode("utf-8", "replace")
        self.status = int(self._api.exec_inspect(self._made)["ExitCode"])
        self.last = said.decode("utf-8", "replace").strip().rpartition("\n")[2]


def _pack(file: Path, packed: IO[bytes]) -> None:
    """A tar archive with the capture in it."""
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo("capture.pcapng")
        entry.size, entry.mode = file.stat().st_size, 0o644
        with file.open("rb") as stream:
            tar.addfile(entry, stream)
    packed.seek(0)
