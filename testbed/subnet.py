"""A /24 for a web that nobody on this machine uses."""

from __future__ import annotations

import random
from ipaddress import IPv4Network
from pathlib import Path

from docker import DockerClient

from testbed.errors import DockerError

ROUTES = Path("/proc/net/route")
MOST = 16
"""Bits of the widest route that keeps a web away."""


def free(docker: DockerClient, web: str) -> str:
    """The first three octets of a /24 that neither Docker nor this machine's routes use."""
    taken = [
        IPv4Network(config["Subnet"], strict=False)
        for network in docker.networks.list()
        for config in (network.attrs.get("IPAM", {}).get("Config") or [])
        if ":" not in config.get("Subnet", ":")
    ] + _routes()
    start = random.Random(web).randrange(256)
    for step in range(256):
        net = f"10.193.{(start + step) % 256}"
        if not any(IPv4Network(f"{net}.0/24").overlaps(other) for other in taken):
            return net
    raise DockerError("no /24 of 10.193.0.0/16 is free for a web: make down the others")


def _routes() -> list[IPv4Network]:
    """This machine's own routes, where it tells them (Linux); those of a whole company's network or
    of a VPN that takes everything are wider, and give way to a /24 on a bridge."""
    if not ROUTES.exists():
        return []
    rows = [line.split() for line in ROUTES.read_text().splitlines()[1:]]
    nets = []
    for row in rows:
        address, mask = (bytes.fromhex(row[i])[::-1] for i in (1, 7))
        length = bin(int.from_bytes(mask, "big")).count("1")
        nets.append(IPv4Network(bytes.fromhex(row[2])[::-1]))  # the gateway; 0.0.0.0: there is none
        if length >= MOST:
            nets.append(IPv4Network((address, length), strict=False))
    return nets
