"""Dissects a capture with tshark, in a container of its own: we only ask, and parse no packets.

One pass over the file, with only the dissectors that are needed. The container has no network and
is labelled as part of its web, so that `make down` finds it should this process be killed.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import cast

from docker import DockerClient
from docker.errors import APIError
from docker.models.containers import Container

from testbed.engine import refused
from testbed.errors import DockerError
from testbed.topology import LINK_PORT
from testbed.wire.packets import FIELDS, Wire, parse, wire

_ONLY = "frame,eth,ethertype,arp,ip,ipv6,ipv6.hopopts,icmp,icmpv6,igmp,tcp,udp,dns,tls,data"


class Dissector:
    """A helper container of the sniffer's image, in which tshark runs."""

    def __init__(self, docker: DockerClient, web: str, image: str) -> None:
        """`web` is the name of the web that the container belongs to."""
        self.docker, self.web, self.image = docker, web, image
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
        argv = ["tshark", "-n", "-r", "/tmp/capture.pcapng", "--only-protocols", _ONLY]
        argv += ["-o", "tls.desegment_ssl_application_data:FALSE"]
        # Whatever it speaks, tshark looks for TLS on the link port; bytes that are none stay bytes.
        for port in link_ports:
            argv += ["-d", f"tcp.port=={port},tls"]
        argv += ["-Y", f'frame.interface_name == "{bridge}"', "-T", "fields"]
        argv += ["-E", "separator=/t", "-E", "occurrence=a", "-E", "aggregator=,"]
        for name in FIELDS:
            argv += ["-e", name]
        try:
            self._container.put_archive("/tmp", _packed(file))
            ran = self._container.exec_run(argv, demux=True)
        except APIError as error:
            raise refused(error) from None
        out, told = cast("tuple[bytes | None, bytes | None]", ran.output)
        rows, said = ((part or b"").decode("utf-8", "replace") for part in (out, told))
        trouble = ""
        if ran.exit_code:
            last = (said.strip().split("\n") or [""])[-1]
            trouble = f"tshark ended with {ran.exit_code}: {last}"
        return wire(parse(rows.splitlines()), trouble)


def _packed(file: Path) -> bytes:
    """A tar archive with the capture in it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo("capture.pcapng")
        entry.size, entry.mode = file.stat().st_size, 0o644
        with file.open("rb") as stream:
            tar.addfile(entry, stream)
    return packed.getvalue()
