"""Taking down isn't interrupted half-way, and whoever wanted it to stop is heard afterwards."""

from __future__ import annotations

import signal

import pytest

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
