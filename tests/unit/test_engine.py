"""What Docker, Compose and the system say is told in one line, with what to do."""

from __future__ import annotations

import errno
import sys
from types import SimpleNamespace

import pytest
from requests import ReadTimeout

from testbed import cli
from testbed.engine import explain, state_of
from testbed.topology import Topology


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("write /var/lib/docker/x: no space left on device", "the disk is full"),
        (
            "Got permission denied while trying to connect to the Docker daemon socket at "
            "unix:///var/run/docker.sock",
            "may not talk to Docker",
        ),
        ("('Connection aborted.', PermissionError(13, 'Permission denied'))", "join the group"),
        ("('Connection aborted.', FileNotFoundError(2, 'No such file'))", "Docker is not there"),
        ("ConnectionRefusedError(111, 'Connection refused')", "daemon is not running"),
        (
            "driver failed on endpoint x: Error starting userland "
            "proxy: listen tcp4 127.0.0.1:2587: bind: address already in use",
            "port 2587 of 127.0.0.1 is taken",
        ),
        ("Pool overlaps with other one on this address space", "taken meanwhile"),
        ("something\n  quite   new", "something quite new"),
    ],
)
def test_messages_are_one_line_with_what_to_do(said: str, told: str) -> None:
    assert told in explain(said)
    assert "\n" not in explain(said)


def test_a_full_disk_under_our_own_files_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "out/web.pcapng")

    monkeypatch.setattr(cli, "app", full)
    monkeypatch.setattr(sys, "argv", ["testbed", "verify"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "out/web.pcapng: the disk is full" in told


def test_what_docker_has_nothing_to_do_with_is_told_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for error, told in (
        (PermissionError(errno.EACCES, "Permission denied", "out/x"), "out/x: Permission denied"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "x"), "x: No such file"),
        (ReadTimeout("no answer in 60 s"), "no answer in 60 s"),
    ):

        def fails(error: OSError = error, **_: object) -> None:
            raise error

        monkeypatch.setattr(cli, "app", fails)
        monkeypatch.setattr(sys, "argv", ["testbed", "up"])
        with pytest.raises(SystemExit):
            cli.main()
        assert told in capsys.readouterr().err


def test_a_stopped_container_is_stopped_however_well_it_was() -> None:
    def told(status: str, health: str) -> SimpleNamespace:
        return SimpleNamespace(attrs={"State": {"Status": status, "Health": {"Status": health}}})

    assert state_of(told("exited", "unhealthy")) == "exited"
    assert state_of(told("running", "healthy")) == "healthy"


def test_commands_name_the_web_unless_it_is_the_default() -> None:
    assert Topology().make("down") == "make down"
    assert Topology(web="other").make("down") == "make down WEB=other"
