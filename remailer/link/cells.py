"""Cells: the codec, and the state of both directions of a link with one peer. No I/O.

The rules: a cell is always CELL bytes and made in the same way whether it carries mail or not; a
message is answered STORED only when whoever took it says so; what is repeated after a break is
known by its transfer ID, which is the beginning of the message's SHA-256. What comes from the peer
is taken, or raises CellError, never anything else.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum

from remailer.link import geometry as g

VERSION = 1
COVER, PART = 0, 1
"""Kinds of cell."""
KEEP_SECONDS = 600.0
"""How long a message that isn't whole is kept without another part of it."""
MOST_STORED = 64
"""Transfers whose STORED is remembered here, so that a repetition needn't come to its end."""
MOST_ANSWERS = 64
"""Answers that wait for a cell: a peer that has WINDOW messages under way never has so many."""

_ZEROS = bytes(g.CELL)


class CellError(Exception):
    """The peer doesn't keep to docs/link.md: hang up."""


class Word(IntEnum):
    """What an answer says of a transfer."""

    NONE = 0
    HAVE = 1
    STORED = 2
    LATER = 3
    REFUSED = 4


@dataclass(frozen=True)
class Answer:
    """One answer; `have` is the index of the part that is wanted next, and only with HAVE."""

    word: Word
    transfer: bytes
    have: int = 0


@dataclass(frozen=True)
class Part:
    """One cell's worth of a message."""

    transfer: bytes
    size: int
    """Bytes of the whole message."""
    index: int
    data: bytes | memoryview


@dataclass(frozen=True)
class Cell:
    """What a cell says; without a part it is cover, if it has answers or not."""

    part: Part | None = None
    answers: tuple[Answer, ...] = ()


_NOTHING = Part(bytes(g.TRANSFER), 0, 0, _ZEROS[: g.DATA])
"""What stands in the place of a part in a cover cell."""


def transfer_of(message: bytes) -> bytes:
    """A message's transfer ID."""
    return hashlib.sha256(message).digest()[: g.TRANSFER]


def encode(cell: Cell) -> bytes:
    """A cell's bytes: the same steps for cover as for mail."""
    part = cell.part or _NOTHING
    head = bytearray(g.DATA_AT)
    g.HEAD.pack_into(head, 0, VERSION, PART if cell.part else COVER)
    for place, answer in enumerate(cell.answers):
        at = g.ANSWERS_AT + place * g.ANSWER.size
        g.ANSWER.pack_into(head, at, answer.word, answer.transfer, answer.have)
    g.PART.pack_into(head, g.PART_AT, part.transfer, part.size, part.index)
    return b"".join((head, part.data, _ZEROS[g.DATA_AT + len(part.data) :]))


def decode(data: bytes) -> Cell:
    """What a cell says. Raises CellError, also for a bit that is set where none should be."""
    if len(data) != g.CELL:
        raise CellError(f"{len(data)} bytes")
    version, kind = g.HEAD.unpack_from(data)
    if version != VERSION or kind not in (COVER, PART):
        raise CellError(f"version {version}, kind {kind}")
    transfer, size, index = g.PART.unpack_from(data, g.PART_AT)
    if kind == PART and not (0 < size <= g.MAX_MESSAGE and index < g.parts(size)):
        raise CellError(f"part {index} of {size} bytes")
    end = g.DATA_AT + (g.length(size, index) if kind == PART else 0)
    if not data.endswith(_ZEROS[end if kind == PART else g.PART_AT :]):
        raise CellError("padding")
    part = Part(transfer, size, index, data[g.DATA_AT : end]) if kind == PART else None
    return Cell(part, _answers(data))


def _answers(data: bytes) -> tuple[Answer, ...]:
    found: list[Answer] = []
    for place in range(g.ANSWERS):
        at = g.ANSWERS_AT + place * g.ANSWER.size
        word, transfer, have = g.ANSWER.unpack_from(data, at)
        if word == Word.NONE:
            if not _ZEROS.startswith(data[at : g.PART_AT]):
                raise CellError("padding of the answers")
            break
        if word not in set(Word) or (have and word != Word.HAVE):
            raise CellError(f"answer {word}, {have}")
        found.append(Answer(Word(word), transfer, have))
    return tuple(found)


class Sender:
    """Our messages to a peer on one connection, each from its first part to its answer."""

    def __init__(self) -> None:
        self._open: OrderedDict[bytes, _Going] = OrderedDict()

    def put(self, message: bytes) -> bytes:
        """One more message to send; its transfer ID. At most WINDOW are to be open."""
        transfer = transfer_of(message)
        self._open.setdefault(transfer, _Going(memoryview(message)))
        return transfer

    def drop(self, transfer: bytes) -> None:
        """Send no more of a message, if it hasn't ended."""
        self._open.pop(transfer, None)

    def part(self) -> Part | None:
        """The next part to send, of each message in turn; None if there is none."""
        for transfer, going in self._open.items():
            if going.next < g.parts(len(going.message)):
                self._open.move_to_end(transfer)
                start = going.next * g.DATA
                going.next += 1
                size = len(going.message)
                data = going.message[start : start + g.DATA]
                return Part(transfer, size, going.next - 1, data)
        return None

    def answered(self, answer: Answer) -> bool:
        """Whether this answer ends one of our messages. Raises CellError."""
        going = self._open.get(answer.transfer)
        if going is None:
            return False  # of an earlier connection, or said twice
        if answer.word != Word.HAVE:
            del self._open[answer.transfer]
            return True
        if answer.have >= g.parts(len(going.message)):
            raise CellError("has more of a message than there is")
        going.next = answer.have
        return False


@dataclass
class _Going:
    message: memoryview
    next: int = 0


@dataclass
class _Coming:
    size: int
    touched: float
    data: bytearray = field(default_factory=bytearray)

    @property
    def have(self) -> int:
        return g.parts(len(self.data))


class Receiver:
    """A peer's messages to us; what isn't whole outlives a broken connection."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock`: seconds that only grow."""
        self._clock = clock
        self._coming: OrderedDict[bytes, _Coming] = OrderedDict()
        self._storing: set[bytes] = set()
        self._stored: OrderedDict[bytes, None] = OrderedDict()
        self._answers: OrderedDict[bytes, Word] = OrderedDict()

    def take(self, part: Part) -> bytes | None:
        """A whole message, if this part was its last, and no WINDOW others are being stored. Raises
        CellError."""
        now, transfer = self._clock(), part.transfer
        if transfer in self._stored:
            self._say(transfer, Word.STORED)
            return None
        if transfer in self._storing:
            return None
        self._forget(now, g.WINDOW - (transfer not in self._coming))
        coming = self._coming.setdefault(transfer, _Coming(part.size, now))
        if coming.size != part.size:
            raise CellError("two sizes of one message")
        coming.touched = now
        self._coming.move_to_end(transfer)
        if part.index != coming.have:
            if part.index == 0 or part.index > coming.have:
                self._say(transfer, Word.HAVE)
            return None
        coming.data += part.data
        if len(coming.data) < coming.size:
            return None
        del self._coming[transfer]
        message = bytes(coming.data)
        if transfer_of(message) != transfer:
            raise CellError("not the message that was announced")
        if len(self._storing) >= g.WINDOW:  # so many wait for the disk already
            self._say(transfer, Word.LATER)
            return None
        self._storing.add(transfer)
        return message

    def answer(self, transfer: bytes, word: Word) -> None:
        """What became of a whole message."""
        self._storing.discard(transfer)
        self._say(transfer, word)
        if word == Word.STORED:
            self._stored[transfer] = None
            while len(self._stored) > MOST_STORED:
                self._stored.popitem(last=False)

    def _say(self, transfer: bytes, word: Word) -> None:
        self._answers[transfer] = word
        if len(self._answers) > MOST_ANSWERS:
            self._answers.popitem(last=False)

    def answers(self) -> tuple[Answer, ...]:
        """What the next cell has to say to the peer, as far as there is room."""
        said: list[Answer] = []
        while self._answers and len(said) < g.ANSWERS:
            transfer, word = self._answers.popitem(last=False)
            coming = self._coming.get(transfer)
            if word != Word.HAVE:
                said.append(Answer(word, transfer))
            elif coming:  # what there is by now, not what there was when it was asked for
                said.append(Answer(word, transfer, coming.have))
        return tuple(said)

    def forget(self) -> None:
        """Let go what is too old: whoever sent half a message may never come again."""
        self._forget(self._clock(), g.WINDOW)

    def _forget(self, now: float, most: int) -> None:
        """Let go what is too old, and the oldest of what is too much."""
        while self._coming:
            transfer, oldest = next(iter(self._coming.items()))
            if len(self._coming) <= most and now - oldest.touched < KEEP_SECONDS:
                break
            del self._coming[transfer]


@dataclass(frozen=True)
class Heard:
    """What a cell brought: a whole message with its transfer ID, and ends of our own."""

    message: tuple[bytes, bytes] | None
    ends: tuple[Answer, ...]


class End:
    """One remailer's end of a link with one peer."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._sender = Sender()
        self._receiver = Receiver(clock)

    def connected(self) -> None:
        """A new connection: what was under way on the last one has to be put again."""
        self._sender = Sender()

    def put(self, message: bytes) -> bytes:
        """Send a message; its transfer ID, by which its end will be told."""
        return self._sender.put(message)

    def drop(self, transfer: bytes) -> None:
        """Send no more of it."""
        self._sender.drop(transfer)

    def next_cell(self) -> bytes:
        """The cell to send next; there always is one."""
        self.forget()
        return encode(Cell(self._sender.part(), self._receiver.answers()))

    def take(self, data: bytes) -> Heard:
        """Read a cell. Raises CellError."""
        cell = decode(data)
        ends = tuple(answer for answer in cell.answers if self._sender.answered(answer))
        message = self._receiver.take(cell.part) if cell.part else None
        return Heard((cell.part.transfer, message) if cell.part and message else None, ends)

    def answer(self, transfer: bytes, word: Word) -> None:
        """Say what became of a message that `take` gave."""
        self._receiver.answer(transfer, word)

    def forget(self) -> None:
        """Let go the peer's messages that didn't come to their end."""
        self._receiver.forget()
