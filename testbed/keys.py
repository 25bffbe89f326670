"""Keys and passwords of a web: each node makes its own private keys inside its own volume.

The harness never sees them: a node prints its public directory entry and nothing else. The mail
users' passwords and the prober's keys are the harness's own; they live in the web's state folder
(0600) and end with it.
"""

from __future__ import annotations

import io
import json
import random
import string
import tarfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from docker import DockerClient
from docker.models.containers import Container
from pydantic import ValidationError

from remailer.directory import Directory, Peer
from testbed.contract import KEYS
from testbed.errors import DockerError
from testbed.topology import MailHost, Node, Topology


def make_node_keys(docker: DockerClient, topology: Topology, image: str) -> list[Peer]:
    """Run `remailer init` for every node, each with its own volume and uid; the public entries."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda node: _init(docker, topology, node, image), topology.remailers))


def _init(docker: DockerClient, topology: Topology, node: Node, image: str) -> Peer:
    container: Container = docker.containers.create(
        image,
        [
            "init", "--name", node.name, "--address", node.address, "--host", node.host,
            "--link-port", str(topology.link.port), "--speaks", str(topology.link),
        ],
        user=f"{node.uid}:{node.uid}",
        network_mode="none",
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges:true"],
        volumes={topology.keys_volume(node): {"bind": KEYS, "mode": "rw"}},
        labels={"unlogged.web": topology.web},
    )  # fmt: skip
    try:
        container.start()
        status = int(container.wait(timeout=60)["StatusCode"])
        said = container.logs(stdout=True, stderr=False)
        if status:
            why = container.logs(stdout=False, stderr=True).decode(errors="replace").strip()
            raise DockerError(f"{node.name}: remailer init ended with {status}: {why or 'no word'}")
        return Peer.model_validate_json(said)
    except ValidationError:
        raise DockerError(f"{node.name}: remailer init printed no directory entry") from None
    finally:
        container.remove(force=True)


def passwords(rng: random.Random, hosts: Sequence[MailHost]) -> dict[str, str]:
    """A password for each mail user: address → password."""
    letters = string.ascii_letters + string.digits
    return {
        f"{user}@{host.domain}": "".join(rng.choices(letters, k=20))
        for host in hosts
        for user in host.users
    }


def put_passwords(container: Container, host: MailHost, secrets: Mapping[str, str]) -> None:
    """Put a mail host's user file into its container, before it starts."""
    lines = [f"{user}:{{PLAIN}}{secrets[f'{user}@{host.domain}']}" for user in host.users]
    put_file(container, "/etc/dovecot", "users", ("\n".join(lines) + "\n").encode(), mode=0o640)


def put_file(container: Container, folder: str, name: str, data: bytes, mode: int) -> None:
    """Put one file, owned by root, into a folder of a container (running or not)."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(data), mode
        tar.addfile(entry, io.BytesIO(data))
    container.put_archive(folder, packed.getvalue())


def write_secret(path: Path, data: bytes) -> None:
    """Write a file that only this user can read, made that way from the start."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)
    path.write_bytes(data)


def write_directory(path: Path, entries: Sequence[Peer]) -> Directory:
    """Write the public directory file."""
    directory = Directory(remailers=tuple(entries))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(directory.model_dump(mode="json"), indent=1) + "\n")
    return directory
