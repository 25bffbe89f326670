"""A web gets a /24 that nobody uses, also where a VPN or a company's network takes a lot."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from docker import DockerClient

from testbed import subnet
from testbed.errors import DockerError

HEAD = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"


def row(net: str) -> str:
    network = IPv4Network(net)
    address, mask = (
        one.packed[::-1].hex().upper() for one in (network.network_address, network.netmask)
    )
    return f"tun0 {address} 00000000 0001 0 0 0 {mask} 0 0 0\n"


def found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, routes: list[str], *nets: str) -> str:
    table = tmp_path / "route"
    table.write_text(HEAD + "".join(map(row, routes)))
    monkeypatch.setattr(subnet, "ROUTES", table)
    networks = [SimpleNamespace(attrs={"IPAM": {"Config": [{"Subnet": net}]}}) for net in nets]
    docker = SimpleNamespace(networks=SimpleNamespace(list=lambda: networks))
    return subnet.free(cast(DockerClient, docker), "web")


def test_routes_that_take_everything_are_in_nobodys_way(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wide = ["0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "10.0.0.0/8"]
    assert found(monkeypatch, tmp_path, wide, "172.30.0.1/16").startswith("10.193.")


def test_what_others_use_is_left_to_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = found(monkeypatch, tmp_path, [])
    assert found(monkeypatch, tmp_path, [f"{first}.0/24"]) != first
    assert found(monkeypatch, tmp_path, [], f"{first}.0/24") != first
    with pytest.raises(DockerError, match="no /24"):
        found(monkeypatch, tmp_path, ["10.193.0.0/16"])


def test_a_gateway_of_a_wide_network_stays_reachable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = found(monkeypatch, tmp_path, ["10.0.0.0/8"])
    gateway = IPv4Network(f"{first}.1").network_address.packed[::-1].hex().upper()
    default = f"eth0 00000000 {gateway} 0003 0 0 0 00000000 0 0 0\n"
    monkeypatch.setattr(subnet, "ROUTES", tmp_path / "table")
    (tmp_path / "table").write_text(HEAD + row("10.0.0.0/8") + default)
    docker = SimpleNamespace(networks=SimpleNamespace(list=list))
    assert subnet.free(cast(DockerClient, docker), "web") != first
