"""Taking down isn't interrupted half-way, and whoever wanted it to stop is heard afterwards."""

from __future__ import annotations

import signal
from types import SimpleNamespace
from typing import cast

import pytest
from docker import DockerClient
from requests import ReadTimeout

from testbed import teardown


@pytest.mark.parametrize("wanted", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_stop_waits_until_what_was_begun_is_finished(wanted: signal.Signals) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    def take_down() -> None:
        with teardown.uninterrupted():
            signal.raise_signal(wanted)
            finished.append("down")

    finished: list[str] = []
    before = signal.signal(wanted, stop)
    try:
        with pytest.raises(KeyboardInterrupt):
            take_down()
        assert finished == ["down"]
        assert signal.getsignal(wanted) is stop
    finally:
        signal.signal(wanted, before)


def test_an_engine_that_takes_its_time_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds: list[int] = []

    def one(*_: object) -> int:
        rounds.append(len(rounds))
        if len(rounds) == 1:
            raise ReadTimeout
        return 3 if len(rounds) == 2 else 0

    monkeypatch.setattr(teardown, "_round", one)
    assert teardown.remove_all(cast(DockerClient, SimpleNamespace()), "web") == 4
    assert len(rounds) == 4
