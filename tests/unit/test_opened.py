"""Claim `link-forward`, from synthetic packets: what a key opens is shown."""

from __future__ import annotations

from dataclasses import replace

import pytest
from wire_rows import Sample

from testbed.topology import LINK_PORT
from testbed.verdict import Control, Status
from testbed.wire import opened
from testbed.wire.packets import wire

WHOLE = Control("the capture is complete, nothing dropped", found=True)
TRIED = {"alpha": "", "bravo": ""}
LINKS = {"alpha>bravo", "bravo>alpha"}


def test_what_no_key_opens_passes() -> None:
    sample = Sample()
    found = opened.findings(sample.tape.wire(), sample.topology, WHOLE, TRIED)
    assert {f.subject for f in found} == LINKS
    assert {f.status for f in found} == {Status.PASS}


def test_a_connection_that_a_key_opens_is_shown() -> None:
    sample = Sample()
    first = next(p for p in sample.tape.packets if p.target_port == LINK_PORT and p.payload)
    packets = [replace(p, opened=p is first) for p in sample.tape.packets]
    found = opened.findings(wire(packets), sample.topology, WHOLE, TRIED)
    assert {f.status for f in found} == {Status.FAIL}  # the link is both ways' own
    assert {f.evidence[0].where for f in found} == {f"frame {first.frame}"}
    assert {f.kind for f in found} == {"key exchange"}


@pytest.mark.parametrize(
    ("whole", "tried"),
    [
        (WHOLE, {}),
        (WHOLE, {"alpha": "", "bravo": "tshark did not open it"}),
        (replace(WHOLE, found=False), TRIED),
    ],
)
def test_without_its_control_nothing_is_said(whole: Control, tried: dict[str, str]) -> None:
    sample = Sample()
    found = opened.findings(sample.tape.wire(), sample.topology, whole, tried)
    assert {f.status for f in found} == {Status.INCONCLUSIVE}


def test_without_a_handshake_nothing_is_said() -> None:
    sample = Sample()
    packets = [replace(p, hello=None) for p in sample.tape.packets]
    found = opened.findings(wire(packets), sample.topology, WHOLE, TRIED)
    assert {f.status for f in found} == {Status.INCONCLUSIVE}
