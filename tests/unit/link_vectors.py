"""The test vectors of docs/link.md: `python tests/unit/link_vectors.py > docs/link.json`."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from remailer.link import geometry as g
from remailer.link.cells import Answer, Cell, Part, Receiver, Word, encode, transfer_of

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


def talks() -> list[dict[str, Any]]:
    """What a receiver answers, part by part (of the message in three cells)."""
    times = MESSAGES[2][0]
    made = []
    for name, indices in (
        ("in order", [0, 1, 2]),
        ("part 0 again after a break", [0, 1, 0, 1, 2]),
        ("a part that comes too early", [1, 0, 1, 2]),
        ("all of it again", [0, 1, 2, 0, 1]),
    ):
        receiver = Receiver(lambda: 0.0)
        steps = []
        for index in indices:
            if whole := receiver.take(part(times, index)):
                receiver.answer(transfer_of(whole), Word.STORED)
            said = [[answer.word.name, answer.have] for answer in receiver.answers()]
            steps.append({"part": index, "answers": said})
        made.append({"name": name, "times": times, "steps": steps})
    return made


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
