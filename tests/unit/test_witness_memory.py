"""Memory is searched and reported: never more than was measured, and a reader that works."""

from __future__ import annotations

import os
import random
import time
from typing import Any

import pytest

from testbed.report import text
from testbed.report.record import Memory
from testbed.topology import Topology
from testbed.traffic import Plan
from testbed.wire.canary import Canaries
from testbed.witness import memory
from testbed.witness.agent import memory as agent
from testbed.witness.agent import processfacts

CANARIES = Canaries("qwertyuiopas")


def test_a_mark_in_this_process_is_found_and_its_control_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processfacts, "of_container", lambda pid: [pid])
    held = bytearray(b"." * 5_000_000)
    held[2_000_000:2_000_017] = CANARIES.mark(12, "b").encode()
    task = {
        "nodes": {"alpha": os.getpid()}, "prefix": CANARIES.prefix, "within": 60.0,
        "controls": {"alpha": "alpha.remailer.test"},
    }  # fmt: skip
    [found] = agent.run(task)
    here = [one for one in found["processes"] if one["process"] == os.getpid()]
    assert CANARIES.mark(12, "b") in here[0]["marks"]
    assert here[0]["control"]
    assert here[0]["bytes"] > len(held)


def test_a_process_that_is_gone_is_told() -> None:
    task = {"nodes": {"alpha": 2**22 + 1}, "prefix": CANARIES.prefix, "within": 1.0, "controls": {}}
    [found] = agent.run(task)
    assert found["why"]


def answer(**more: Any) -> dict[str, Any]:
    one = {
        "process": 7, "title": "remailer run", "after": 1.5, "bytes": 40_000_000, "whole": True,
        "control": True, "marks": {CANARIES.mark(0, "s"): ["raw"], CANARIES.prefix: ["hex"]},
    }  # fmt: skip
    return {"processes": [one | more]}


def told(given: dict[str, Any]) -> Memory:
    rng = random.Random(1)
    letters = Plan(Topology(), CANARIES, rng).second()
    now = time.monotonic()
    for letter in letters:
        letter.seen_at = now - 2.0
    return memory.told("alpha", given, now, letters, CANARIES)


def test_what_was_found_is_counted_in_letters_that_went_through_the_node() -> None:
    found = told(answer())
    assert (found.found, found.marks) == (1, 2)
    assert 10 < found.letters < len(Plan(Topology(), CANARIES, random.Random(1)).second())
    assert abs(found.seconds - 3.5) < 0.1
    assert text.remembered(found).startswith(f"alpha: marks of 1 of {found.letters} mails, 4 s")


def test_what_was_not_searched_is_not_said() -> None:
    assert "the first 40.0 MB" in text.remembered(told(answer(whole=False)))
    assert "not known" in text.remembered(told(answer(control=False)))
    assert "not known, gone" in text.remembered(told({"why": "gone"}))
