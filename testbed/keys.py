"""Keys and passwords of a web: nodes and users make their private keys inside their own volumes.

The harness never sees them: each prints its public entry and nothing else. The mail
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
from remailer.guests import Guest as Entry
from remailer.guests import Guests
from testbed.contract import KEYS
from testbed.errors import DockerError
from testbed.topology import Guest, MailHost, Node, Topology


def make_node_keys(docker: DockerClient, topology: Topology, image: str) -> list[Peer]:
    """Run `remailer init` for every node, each with its own volume and uid; the public entries."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda node: _init(docker, topology, node, image), topology.remailers))


def make_guest_keys(docker: DockerClient, topology: Topology, image: str) -> dict[str, list[Entry]]:
    """Run `remailer guest` for every user with a proxy; the entries by the node they call."""

    def entry(guest: Guest) -> Entry:
        said = _made(docker, topology, guest, image, ["guest", guest.name])
        try:
            return Entry.model_validate_json(said)
        except ValidationError:
            raise DockerError(f"{guest.name}: remailer guest printed no entry") from None

    found: dict[str, list[Entry]] = {}
    with ThreadPoolExecutor(4) as pool:
        for guest, one in zip(topology.guests, pool.map(entry, topology.guests), strict=True):
            found.setdefault(guest.path[0], []).append(one)
    return found


def _init(docker: DockerClient, topology: Topology, node: Node, image: str) -> Peer:
    arguments = [
        "init", "--name", node.name, "--address", node.address, "--host", node.host,
        "--link-port", str(topology.link.port), "--speaks", str(topology.link),
    ]  # fmt: skip
    try:
        return Peer.model_validate_json(_made(docker, topology, node, image, arguments))
    except ValidationError:
        raise DockerError(f"{node.name}: remailer init printed no directory entry") from None


def _made(
    docker: DockerClient,
    topology: Topology,
    owner: Node | Guest,
    image: str,
    arguments: Sequence[str],
) -> bytes:
    """What a command says that makes keys in the owner's volume, and has no network."""
    container: Container = docker.containers.create(
        image,
        [*arguments, "--keys", KEYS],
        user=f"{owner.uid}:{owner.uid}",
        network_mode="none",
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges:true"],
        volumes={topology.keys_volume(owner): {"bind": KEYS, "mode": "rw"}},
        labels={"unlogged.web": topology.web},
    )
    try:
        container.start()
        status = int(container.wait(timeout=60)["StatusCode"])
        said: bytes = container.logs(stdout=True, stderr=False)
        if status:
            why = container.logs(stdout=False, stderr=True).decode(errors="replace").strip()
            what = f"remailer {arguments[0]} ended with {status}"
            raise DockerError(f"{owner.name}: {what}: {why or 'no word'}")
        return said
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


def write_guests(path: Path, entries: Sequence[Entry]) -> None:
    """Write a node's public file of guests."""
    path.write_text(Guests(guests=tuple(entries)).model_dump_json(indent=1) + "\n")
    path.chmod(0o644)
