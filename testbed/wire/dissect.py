"""Dissects a capture with tshark, in a container of its own: we only ask, and parse no packets.

One pass over the file, with only the dissectors that are needed. The container has no network and
is labelled as part of its web, so that `make down` finds it should this process be killed.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

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
            self._container.put_archive("/tmp", _packed(file))
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
            status, _, said = self._run(argv)
            if status:
                return dict.fromkeys(folders, _last(said) or f"status {status}")
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
        status, rows, said = self._run(argv)
        trouble = f"tshark ended with {status}: {_last(said)}" if status else ""
        return wire(parse(rows.splitlines()), trouble)

    def _run(self, argv: Sequence[str]) -> tuple[int, str, str]:
        """Exit status, stdout and stderr; in pieces, for the SDK joins them one to the other."""
        assert self._container is not None
        api = self.docker.api
        made = api.exec_create(self._container.id, argv)["Id"]
        out: list[bytes] = []
        told: list[bytes] = []
        for pieces in api.exec_start(made, stream=True, demux=True):
            for kept, piece in zip((out, told), pieces, strict=True):
                kept.append(piece or b"")
        rows, said = (b"".join(kept).decode("utf-8", "replace") for kept in (out, told))
        return int(api.exec_inspect(made)["ExitCode"]), rows, said


def _last(said: str) -> str:
    return (said.strip().split("\n") or [""])[-1]


def _packed(file: Path) -> bytes:
    """A tar archive with the capture in it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo("capture.pcapng")
        entry.size, entry.mode = file.stat().st_size, 0o644
        with file.open("rb") as stream:
            tar.addfile(entry, stream)
    return packed.getvalue()
