"""The test vectors of docs/link.md: `python tests/unit/link_vectors.py > docs/link.json`."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

from remailer.link import geometry as g
from remailer.link.cells import (
    Answer,
    Cell,
    CellError,
    Part,
    Receiver,
    Sender,
    Word,
    encode,
    transfer_of,
)  # fmt: skip

TEXT = "a line of mail\r\n"
MESSAGES = ((1, "one"), (g.DATA // 16, "just under a cell"), (2 * g.DATA // 16 + 1, "three cells"))


def message(times: int) -> bytes:
    """`TEXT`, so many times."""
    return TEXT.encode() * times


def part(times: int, index: int) -> Part:
    """A part of such a message."""
    whole = message(times)
    data = whole[index * g.DATA : (index + 1) * g.DATA]
    return Part(transfer_of(whole), len(whole), index, data)


ANSWERS = (
    Answer(Word.HAVE, bytes(range(16)), 57),
    Answer(Word.STORED, bytes(range(16, 32))),
    Answer(Word.LATER, bytes(range(32, 48))),
    Answer(Word.REFUSED, bytes(range(48, 64))),
)
CELLS = (
    ("cover", None, ()),
    ("cover with an answer", None, ANSWERS[1:2]),
    ("a message in one part", (1, 0), ()),
    ("a first part, and four answers", (MESSAGES[2][0], 0), ANSWERS),
    ("a last part", (MESSAGES[2][0], 2), ANSWERS[:1]),
)
REFUSED = (
    ("another version", 0, "02"),
    ("an unknown kind", 1, "02"),
    ("an unknown word", g.ANSWERS_AT, "05"),
    ("STORED with an index", g.ANSWERS_AT + 17, "00000001"),
    ("an answer behind an empty place", g.ANSWERS_AT + 2 * g.ANSWER.size, "02"),
    ("an ID in an empty place", g.ANSWERS_AT + g.ANSWER.size + 5, "01"),
    ("a size of 0", g.PART_AT + g.TRANSFER, "00000000"),
    ("too large", g.PART_AT + g.TRANSFER, (g.MAX_MESSAGE + 1).to_bytes(4, "big").hex()),
    ("an index that isn't there", g.PART_AT + g.TRANSFER + 4, "00000001"),
    ("a bit in the padding", g.CELL - 1, "01"),
    ("a part's head in a cover cell", 1, "00"),
)
"""Changes of a cell with one answer (STORED) and the message of one part."""


def refusable() -> bytes:
    """The good cell that they are changes of."""
    return encode(Cell(part(1, 0), ANSWERS[1:2]))


THREE = MESSAGES[2][0]
FIVE = tuple(range(THREE, THREE + g.WINDOW + 1))
"""Five messages in three cells each, no two alike."""

Step = dict[str, Any]


def _parts(times: int, *indices: int) -> list[Step]:
    return [{"part": [times, index]} for index in indices]


def _becomes(times: int, word: str) -> Step:
    return {"becomes": [times, word]}


TAKING: tuple[tuple[str, list[Step]], ...] = (
    ("in order", [*_parts(THREE, 0, 1, 2), _becomes(THREE, "STORED")]),
    ("part 0 again after a break", _parts(THREE, 0, 1, 0, 1, 2)),
    ("a part that comes too early", _parts(THREE, 1, 0, 1, 2)),
    (
        "all of it again",
        [*_parts(THREE, 0, 1, 2), _becomes(THREE, "STORED"), *_parts(THREE, 0, 1)],
    ),
    (
        "again while it is being stored",
        [*_parts(THREE, 0, 1, 2), *_parts(THREE, 0, 1), _becomes(THREE, "STORED")],
    ),
    (
        "it can't be stored, and comes again",
        [
            *_parts(1, 0), _becomes(1, "LATER"),
            *_parts(1, 0), _becomes(1, "STORED"),
        ],
    ),
    ("it isn't wanted", [*_parts(1, 0), _becomes(1, "REFUSED")]),
    (
        "two in turn",
        [step for index in range(3) for times in FIVE[:2] for step in _parts(times, index)],
    ),
    (
        "five wait for the disk",
        [*(step for times in range(1, 6) for step in _parts(times, 0)), _becomes(1, "STORED")],
    ),
    (
        "of five that aren't whole the oldest goes",
        [*(step for times in FIVE for step in _parts(times, 0)), *_parts(FIVE[1], 1),
         *_parts(FIVE[0], 1)],
    ),
    (
        "ten minutes without a part",
        [*_parts(THREE, 0), {"seconds": 590}, *_parts(THREE, 1), {"seconds": 601},
         *_parts(THREE, 2)],
    ),
    ("two sizes", [*_parts(THREE, 0), {"part": [THREE, 1], "size": 3 * g.DATA}]),
    ("another message than was announced", [{"part": [1, 0], "transfer": "00" * 16}]),
)  # fmt: skip
"""What comes in: a part; what a whole message becomes; seconds that go by."""

GIVING: tuple[tuple[str, list[Step]], ...] = (
    ("one after the other", [{"put": THREE}, *({"next": True} for _ in range(4))]),
    ("two in turn", [{"put": FIVE[0]}, {"put": FIVE[1]}, *({"next": True} for _ in range(7))]),
    (
        "the peer has some of it",
        [{"put": THREE}, {"next": True}, {"answer": ["HAVE", THREE, 2]}, {"next": True},
         {"next": True}],
    ),
    (
        "the peer has forgotten it",
        [{"put": THREE}, *({"next": True} for _ in range(3)), {"answer": ["HAVE", THREE, 0]},
         {"next": True}],
    ),
    (
        "it ends before its last part",
        [{"put": THREE}, {"next": True}, {"answer": ["REFUSED", THREE, 0]}, {"next": True}],
    ),
    ("an answer to nothing", [{"answer": ["HAVE", THREE, 1]}, {"next": True}]),
    (
        "more than there is of it",
        [{"put": THREE}, {"next": True}, {"answer": ["HAVE", THREE, 3]}],
    ),
)  # fmt: skip
"""What goes out: a message; whether there is a next part; answers that come."""


def talks() -> list[Step]:
    """What a receiver answers, step by step, and what makes it cut."""
    made = []
    for name, steps in TAKING:
        now = [0.0]
        receiver = Receiver(lambda now=now: now[0])  # type: ignore[misc]
        made.append({"name": name, "steps": [_taken(receiver, now, step) for step in steps]})
    return made


def _taken(receiver: Receiver, now: list[float], step: Step) -> Step:
    if "seconds" in step:
        now[0] += step["seconds"]
        return step
    times, what = step.get("part") or step["becomes"]
    if "becomes" in step:
        receiver.answer(transfer_of(message(times)), Word[what])
    else:
        one = part(times, what)
        transfer = bytes.fromhex(step.get("transfer", one.transfer.hex()))
        try:
            receiver.take(replace(one, transfer=transfer, size=step.get("size", one.size)))
        except CellError:
            return step | {"cut": True}
    known = {transfer_of(message(one)): one for one in (*range(1, 6), *FIVE)}
    said = [[one.word.name, known[one.transfer], one.have] for one in receiver.answers()]
    return step | {"answers": said}


def sendings() -> list[Step]:
    """Which part a sender sends next, step by step, and what makes it cut."""
    made = []
    for name, steps in GIVING:
        sender = Sender()
        made.append({"name": name, "steps": [_given(sender, step) for step in steps]})
    return made


def _given(sender: Sender, step: Step) -> Step:
    if "put" in step:
        sender.put(message(step["put"]))
    elif "answer" in step:
        word, times, have = step["answer"]
        try:
            sender.answered(Answer(Word[word], transfer_of(message(times)), have))
        except CellError:
            return step | {"cut": True}
    else:
        sizes = {len(message(times)): times for times in FIVE}
        one = sender.part()
        return {"next": [sizes[one.size], one.index] if one else None}
    return step


def vectors() -> dict[str, Any]:
    """All of them."""
    return {
        "geometry": {
            "cell": g.CELL, "record": g.RECORD, "answers": g.ANSWERS, "answers_at": g.ANSWERS_AT,
            "answer": g.ANSWER.size, "part_at": g.PART_AT, "data_at": g.DATA_AT, "data": g.DATA,
            "window": g.WINDOW, "max_message": g.MAX_MESSAGE,
        },
        "text": TEXT,
        "messages": [
            {
                "name": name,
                "times": times,
                "size": len(message(times)),
                "transfer": transfer_of(message(times)).hex(),
                "parts": g.parts(len(message(times))),
            }
            for times, name in MESSAGES
        ],
        "cells": [_cell(name, of, answers) for name, of, answers in CELLS],
        "refused": {
            "good": _cell("the good one", (1, 0), ANSWERS[1:2]),
            "changes": [{"name": name, "at": at, "hex": change} for name, at, change in REFUSED],
        },
        "talks": talks(),
        "sendings": sendings(),
    }  # fmt: skip


def _cell(name: str, of: tuple[int, int] | None, answers: tuple[Answer, ...]) -> dict[str, Any]:
    made = encode(Cell(part(*of) if of else None, answers))
    return {
        "name": name,
        "part": {"times": of[0], "index": of[1]} if of else None,
        "answers": [[a.word.name, a.transfer.hex(), a.have] for a in answers],
        "head": made[: g.DATA_AT].hex(),
        "sha256": hashlib.sha256(made).hexdigest(),
    }


if __name__ == "__main__":
    print(json.dumps(vectors(), indent=1))
