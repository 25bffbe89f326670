"""The gate: how many come in, who makes room for whom, and who isn't cut."""

from __future__ import annotations

import asyncio

import pytest

from remailer import gate
from remailer.gate import Gate, Rate


class Visitor:
    """A connection that is gone as soon as it is hung up on."""

    def __init__(self, of: Gate, origin: bytes, storing: bool = False) -> None:
        self.of, self.storing, self.cut = of, storing, False
        of.open[self] = origin

    def abort(self) -> None:
        self.cut = True
        self.of.left(self)


def full(*storing: bool, rate: Rate | None = None) -> tuple[Gate, list[Visitor]]:
    """A gate with no place left, and who has them, all from one address."""
    doors = Gate(len(storing), rate=rate)
    return doors, [Visitor(doors, b"crowd", one) for one in storing]


def test_a_crowd_makes_room_for_a_newcomer_but_none_whose_mail_is_being_stored() -> None:
    doors, visitors = full(True, False, False)
    assert doors.refusal(b"new") is None
    assert [one.cut for one in visitors] == [False, True, False]
    doors, visitors = full(True, True)
    assert doors.refusal(b"new") == "421 4.3.2 Too many connections"
    assert not any(one.cut for one in visitors)


async def test_who_has_used_up_his_units_makes_no_room_for_himself() -> None:
    rate = Rate(1)
    rate.use(b"spent", 1)
    doors, visitors = full(False, False, rate=rate)
    assert str(doors.refusal(b"spent")).startswith("421 4.7.1")
    assert not any(one.cut for one in visitors)


@pytest.mark.parametrize("ends", [True, False])
async def test_a_stop_waits_for_mails_that_are_being_stored_but_not_for_ever(
    monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    monkeypatch.setattr(gate, "PARTING_SECONDS", 20.0 if ends else 0.05)
    doors, (storing, idle) = full(True, False)
    finishing = asyncio.create_task(doors.finish())
    await asyncio.sleep(0.02)
    assert (storing.cut, idle.cut) == (False, True)
    storing.storing = not ends
    async with asyncio.timeout(5):
        await finishing
    assert storing.cut
