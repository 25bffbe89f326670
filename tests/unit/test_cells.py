"""Cells: the codec against the vectors, and two ends over connections that break anywhere."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from link_vectors import vectors
from node_web import peer

from remailer.link import geometry as g
from remailer.link.calls import calls
from remailer.link.cells import (
    KEEP_SECONDS,
    Answer,
    Cell,
    CellError,
    End,
    Part,
    Receiver,
    Sender,
    Word,
    decode,
    encode,
    transfer_of,
)
from remailer.link.hatch import MOST, Event, Hatch
from remailer.link.pacer import next_tick

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[2] / "docs" / "link.json").read_text())


def message(times: int) -> bytes:
    return bytes(VECTORS["text"].encode()) * times


def part_of(whole: bytes, index: int) -> Part:
    return Part(transfer_of(whole), len(whole), index, whole[index * g.DATA :][: g.DATA])


def said(vector: dict[str, Any]) -> Cell:
    of = vector["part"]
    part = part_of(message(of["times"]), of["index"]) if of else None
    answers = (Answer(Word[w], bytes.fromhex(t), have) for w, t, have in vector["answers"])
    return Cell(part, tuple(answers))


def test_the_vectors_are_of_this_version() -> None:
    assert vectors() == VECTORS, "python tests/unit/link_vectors.py > docs/link.json"


@pytest.mark.parametrize("vector", VECTORS["cells"], ids=lambda v: v["name"])
def test_cells_are_as_the_vectors_say(vector: dict[str, Any]) -> None:
    made = encode(said(vector))
    assert len(made) == g.CELL
    assert made[: g.DATA_AT].hex() == vector["head"]
    assert hashlib.sha256(made).hexdigest() == vector["sha256"]
    assert decode(made) == said(vector)


@pytest.mark.parametrize("change", VECTORS["refused"]["changes"], ids=lambda c: c["name"])
def test_what_the_vectors_refuse_is_refused(change: dict[str, Any]) -> None:
    good = bytearray(encode(said(VECTORS["refused"]["good"])))
    decode(bytes(good))
    new = bytes.fromhex(change["hex"])
    good[change["at"] : change["at"] + len(new)] = new
    with pytest.raises(CellError):
        decode(bytes(good))


@given(
    st.lists(st.tuples(st.integers(0, g.DATA_AT + 64), st.integers(0, 255)), max_size=6),
    st.sampled_from([v["name"] for v in VECTORS["cells"]]),
)
def test_any_cell_is_taken_as_it_is_or_refused(changes: list[tuple[int, int]], name: str) -> None:
    made = bytearray(encode(said(next(v for v in VECTORS["cells"] if v["name"] == name))))
    for at, value in changes:
        made[at] = value
    end = End(lambda: 0.0)
    try:
        cell = decode(bytes(made))
        end.take(bytes(made))
    except CellError:
        return
    assert encode(cell) == bytes(made)


@given(st.binary(max_size=64), st.integers(0, g.CELL + 10))
def test_noise_is_refused(noise: bytes, length: int) -> None:
    data = (noise * (length // max(1, len(noise)) + 1))[:length]
    with contextlib.suppress(CellError):
        assert encode(decode(data)) == data


# -- two ends -------------------------------------------------------------------------------------


class Link:
    """Two ends, cells that are under way, and what each has stored."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.now = 0.0
        self.ends = [End(lambda: self.now), End(lambda: self.now)]
        self.way: list[list[bytes]] = [[], []]
        self.stored: list[list[bytes]] = [[], []]
        self.known: list[set[bytes]] = [set(), set()]
        self.waiting: list[dict[bytes, bytes]] = [{}, {}]

    def put(self, side: int, whole: bytes) -> None:
        self.waiting[side][self.ends[side].put(whole)] = whole

    def tick(self) -> None:
        """Both send a cell; what was sent some ticks ago arrives."""
        self.now += 0.2
        for side in (0, 1):
            self.way[side].append(self.ends[side].next_cell())
            while len(self.way[side]) > self.rng.randint(0, 3):
                self.hear(1 - side, self.way[side].pop(0))

    def hear(self, side: int, cell: bytes) -> None:
        heard = self.ends[side].take(cell)
        for answer in heard.ends:
            if answer.word is Word.STORED:
                del self.waiting[side][answer.transfer]
        if heard.message:
            transfer, whole = heard.message
            if transfer not in self.known[side]:  # the spool's own memory
                self.known[side].add(transfer)
                self.stored[side].append(whole)
            self.ends[side].answer(transfer, Word.STORED)

    def cut(self) -> None:
        """What is under way is lost; what isn't answered is put again."""
        self.way = [[], []]
        for side in (0, 1):
            self.ends[side].connected()
            for whole in list(self.waiting[side].values()):
                self.put(side, whole)

    def restart(self, side: int) -> None:
        """One side forgets all but what it has stored."""
        self.ends[side] = End(lambda: self.now)
        self.cut()


@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.02, 0.1]))
def test_whatever_breaks_each_message_is_stored_once(seed: int, often: float) -> None:
    rng = random.Random(seed)
    link = Link(rng)
    sent: list[list[bytes]] = [[], []]
    for side in (0, 1):
        for number in range(g.WINDOW):
            whole = b"%d %d\r\n" % (side, number) * rng.choice((1, 3000, 9000))
            sent[side].append(whole)
            link.put(side, whole)
    for step in range(400):
        link.tick()
        if step < 200 and rng.random() < often:
            rng.choice((link.cut, lambda: link.restart(rng.randrange(2))))()
    assert link.waiting == [{}, {}]
    assert [sorted(link.stored[1]), sorted(link.stored[0])] == [sorted(one) for one in sent]


def test_without_breaks_no_cell_is_wasted() -> None:
    link = Link(random.Random(1))
    big = message(40_000)
    link.put(0, big)
    for _ in range(g.parts(len(big)) + 4):
        link.tick()
    assert link.stored[1] == [big]


def test_after_a_break_it_goes_on_where_it_was() -> None:
    link = Link(random.Random(1))
    big = message(40_000)
    link.put(0, big)
    for _ in range(30):
        link.tick()
    link.cut()
    for _ in range(g.parts(len(big)) - 20):
        link.tick()
    assert link.stored[1] == [big]
    assert not link.waiting[0]


def test_stored_is_said_when_it_is_so_and_not_before() -> None:
    receiver = Receiver(lambda: 0.0)
    assert receiver.take(part_of(b"x", 0)) == b"x"
    assert receiver.answers() == ()
    assert receiver.take(part_of(b"x", 0)) is None  # again, while it is being stored
    receiver.answer(transfer_of(b"x"), Word.STORED)
    assert receiver.answers() == (Answer(Word.STORED, transfer_of(b"x")),)


def test_so_many_wait_for_the_disk_and_what_comes_beyond_is_put_off() -> None:
    receiver = Receiver(lambda: 0.0)
    wholes = [b"%d\r\n" % number for number in range(g.WINDOW + 1)]
    assert [receiver.take(part_of(whole, 0)) for whole in wholes] == [*wholes[:-1], None]
    assert receiver.answers() == (Answer(Word.LATER, transfer_of(wholes[-1])),)
    receiver.answer(transfer_of(wholes[0]), Word.STORED)
    assert receiver.take(part_of(wholes[-1], 0)) == wholes[-1]


def test_a_message_under_a_false_name_is_refused() -> None:
    with pytest.raises(CellError):
        Receiver(lambda: 0.0).take(Part(bytes(16), 1, 0, b"x"))


def test_what_is_not_whole_is_kept_for_a_while_and_never_too_much_of_it() -> None:
    now = 0.0
    receiver = Receiver(lambda: now)
    wholes = [b"%d\r\n" % number * g.DATA for number in range(g.WINDOW + 1)]
    for whole in wholes:
        receiver.take(part_of(whole, 0))

    def wanted(whole: bytes) -> int:
        receiver.take(part_of(whole, 2))
        return receiver.answers()[0].have

    assert [wanted(whole) for whole in wholes[1:]] == [1] * g.WINDOW
    assert wanted(wholes[0]) == 0
    now += KEEP_SECONDS
    assert wanted(wholes[-1]) == 0


def test_messages_take_turns() -> None:
    sender = Sender()
    sender.put(message(3000))
    sender.put(message(3001))
    order = [part.transfer for part in iter(sender.part, None)]
    assert len(order) == 2 * g.parts(len(message(3000)))
    assert all(one != other for one, other in itertools.pairwise(order))


def test_the_head_is_as_long_as_the_page_says() -> None:
    assert (g.PART_AT, g.DATA_AT, g.DATA, g.RECORD) == (86, 110, 15_890, 16_017)


# -- the pacer's pure parts -----------------------------------------------------------------------


@given(st.floats(0, 1e6), st.floats(0.01, 10), st.floats(0, 1e4))
def test_ticks_are_absolute_and_those_that_were_missed_are_left_out(
    start: float, period: float, late: float
) -> None:
    now = start + late
    tick = next_tick(start, period, now)
    assert now <= tick <= now + period * 1.001
    assert abs((tick - start) / period - round((tick - start) / period)) < 1e-3


def test_frames_come_out_whole_however_they_come_in() -> None:
    got: list[tuple[Event, int, int, bytes]] = []

    class Wire:
        def write(self, frames: bytes) -> None:
            self.data = frames

    wire = Wire()
    writer = Hatch(lambda *_: None, lambda: None)
    writer._transport = wire  # type: ignore[assignment]
    cell = encode(Cell())
    frames = [
        (Event.UP, 7, 3, b""), (Event.HEARD, 7, 3, cell), (Event.SEND, 1, 2, cell),
        (Event.SENT, 65535, 2**32 - 1, b""),
    ]  # fmt: skip
    for frame in frames:
        writer.put(*frame)
    writer.say()
    for step in (1, 4099, len(wire.data)):
        got.clear()
        reader = Hatch(lambda *frame: got.append(frame), lambda: None)
        for at in range(0, len(wire.data), step):
            pour(reader, wire.data[at : at + step])
        assert got == frames
    pour(reader, wire.data[:3])
    assert got == frames


def pour(hatch: Hatch, data: bytes) -> None:
    """As a transport does what came."""
    hatch.get_buffer(-1)[: len(data)] = data
    hatch.buffer_updated(len(data))


def test_no_peer_can_fill_a_hatch_between_two_ticks() -> None:
    said: list[bytes] = []
    hatch = Hatch(lambda *_: None, lambda: None)
    hatch._transport = SimpleNamespace(write=said.append)  # type: ignore[assignment]
    for _ in range(MOST + 1):
        hatch.put(Event.HEARD, cell=encode(Cell()))
    assert len(said) == 1
    hatch.say()
    assert len(b"".join(said)) > (MOST + 1) * g.CELL
    hatch.say()
    assert len(said) == 2


@pytest.mark.parametrize(
    ("own", "other", "speaks", "expected"),
    [
        (("10.0.0.9", 1), ("10.0.0.10", 1), "cells", True),
        (("10.0.0.10", 1), ("10.0.0.9", 1), "cells", False),
        (("10.0.0.9", 1), ("10.0.0.9", 2), "cells", True),
        (("10.0.0.9", 1), ("::1", 1), "cells", True),
        (("10.0.0.9", 1), ("10.0.0.10", 1), "tls", False),
    ],
)
def test_the_lower_address_calls(
    own: tuple[str, int], other: tuple[str, int], speaks: str, *, expected: bool
) -> None:
    made = peer("own", own[1], "-", speaks="cells").model_copy(update={"hosts": (own[0],)})
    peer_ = peer("other", other[1], "-", speaks=speaks).model_copy(update={"hosts": (other[0],)})
    assert calls(made.party, peer_.party) is expected
