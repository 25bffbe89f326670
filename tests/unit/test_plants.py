"""How one names a planted leak: as its module, or as tables write it."""

from __future__ import annotations

import pytest

from testbed import cli
from testbed.attack.physical import PHYSICAL
from testbed.errors import UsageError
from testbed.leaks.plant import catalogue, module
from testbed.topology import Topology


def test_every_leak_has_two_names_and_ones_own_go_before_blind_ones() -> None:
    own = {plant.title: plant.name for plant in catalogue() if not plant.blind}
    for plant in catalogue():
        assert module(plant.name) == plant.name
        assert module(plant.title) == own.get(plant.title, plant.name)
    for one in PHYSICAL:
        assert module(one.title) == module(one.name) == one.name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "tmpfs",
        "catalogue",
        "test_leaks",
        "__init__",
        "rows",
        "../x",
        "stock",
        "past-pacer",
        "blind.known",
    ],
)
def test_what_is_no_leak_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"no leak .*: docs/leaks.md lists them"):
        module(name)


def test_a_web_gets_the_leaks_that_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli.planted(Topology()).leaks == {}
    monkeypatch.setenv("LEAKS", "alpha=tmpfs-file, bravo=stdout_line")
    assert cli.planted(Topology()).leaks == {"alpha": "tmpfs_file", "bravo": "stdout_line"}
    monkeypatch.setenv("LEAKS", "zulu=tmpfs-file")
    with pytest.raises(UsageError, match="a leak in zulu: no remailer of this web"):
        cli.planted(Topology())
