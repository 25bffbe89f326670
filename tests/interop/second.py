"""Another end of the link `cells`, made from docs/link.md and nothing else.

Threads and sockets, no code of the project. It is slow and simple: one peer, one connection at a
time, a cell at each tick.
"""

from __future__ import annotations

import contextlib
import hashlib
import queue
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path

CELL, ANSWERS, HEAD_AT, DATA_AT = 16_000, 2, 86, 110
DATA = CELL - DATA_AT
COVER, PART = 0, 1
HAVE, STORED, LATER, REFUSED = 1, 2, 3, 4
BIGGEST = 4_194_304


class Broken(Exception):
    """The other side doesn't keep to the page."""


def transfer_id(message: bytes) -> bytes:
    """The first 16 bytes of its SHA-256."""
    return hashlib.sha256(message).digest()[:16]


def part_of(message: bytes, index: int) -> tuple[bytes, int, int, bytes]:
    """ID, size, index, data."""
    data = message[index * DATA : (index + 1) * DATA]
    return transfer_id(message), len(message), index, data


def write(
    part: tuple[bytes, int, int, bytes] | None, answers: list[tuple[int, bytes, int]]
) -> bytes:
    """A cell."""
    cell = bytes([1, PART if part else COVER])
    for word, transfer, have in answers:
        cell += bytes([word]) + transfer + have.to_bytes(4, "big")
    cell = cell.ljust(HEAD_AT, b"\0")
    if part:
        transfer, size, index, data = part
        cell += transfer + struct.pack(">LL", size, index) + data
    return cell.ljust(CELL, b"\0")


def read(
    cell: bytes,
) -> tuple[tuple[bytes, int, int, bytes] | None, list[tuple[int, bytes, int]]]:
    """A cell's part, if it has one, and its answers. Raises Broken."""
    if len(cell) != CELL or cell[0] != 1 or cell[1] not in (COVER, PART):
        raise Broken("version or kind")
    answers = []
    for at in range(ANSWERS, HEAD_AT, 21):
        word, have = cell[at], int.from_bytes(cell[at + 17 : at + 21], "big")
        if word == 0:
            if any(cell[at:HEAD_AT]):
                raise Broken("something behind the answers")
            break
        if word > REFUSED or (have and word != HAVE):
            raise Broken("an answer")
        answers.append((word, cell[at + 1 : at + 17], have))
    transfer, (size, index) = cell[86:102], struct.unpack(">LL", cell[102:110])
    if cell[1] == COVER:
        if any(cell[HEAD_AT:]):
            raise Broken("a cover cell that isn't empty")
        return None, answers
    if not 1 <= size <= BIGGEST or index * DATA >= size:
        raise Broken("a part that can't be")
    used = min(DATA, size - index * DATA)
    if any(cell[DATA_AT + used :]):
        raise Broken("padding")
    return (transfer, size, index, cell[DATA_AT : DATA_AT + used]), answers


class Coming:
    """A message that isn't whole."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.parts: list[bytes] = []
        self.touched = 0.0


class Inbox:
    """What comes in, and what is answered."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.coming: dict[bytes, Coming] = {}
        """Messages that aren't whole; the one without a part for longest comes first."""
        self.storing: set[bytes] = set()
        self.stored: set[bytes] = set()
        self.answers: list[tuple[int, bytes, int]] = []

    def take(self, part: tuple[bytes, int, int, bytes]) -> bytes | None:
        """One part; the whole message, if it is to be stored now. Raises Broken."""
        transfer, size, index, data = part
        if transfer in self.stored:
            self.answers.append((STORED, transfer, 0))
        if transfer in self.stored | self.storing:
            return None
        self.forget()
        coming = self.coming.pop(transfer, None) or Coming(size)
        if coming.size != size:
            raise Broken("two sizes")
        while len(self.coming) >= 4:
            del self.coming[next(iter(self.coming))]
        self.coming[transfer], coming.touched = coming, self.clock()
        if index != len(coming.parts):
            if index == 0 or index > len(coming.parts):
                self.answers.append((HAVE, transfer, len(coming.parts)))
            return None
        coming.parts.append(data)
        if sum(map(len, coming.parts)) < size:
            return None
        del self.coming[transfer]
        message = b"".join(coming.parts)
        if transfer_id(message) != transfer:
            raise Broken("another message than was announced")
        if len(self.storing) == 4:
            self.answers.append((LATER, transfer, 0))
            return None
        self.storing.add(transfer)
        return message

    def forget(self) -> None:
        """What got no part for ten minutes."""
        for transfer, coming in list(self.coming.items()):
            if self.clock() - coming.touched > 600:
                del self.coming[transfer]

    def became(self, message: bytes, word: int) -> None:
        """A whole message is durable (STORED), or isn't (LATER, REFUSED)."""
        transfer = transfer_id(message)
        self.storing.discard(transfer)
        if word == STORED:
            self.stored.add(transfer)
        self.answers.append((word, transfer, 0))

    def say(self) -> list[tuple[int, bytes, int]]:
        """The answers of the next cell, each once."""
        said = list(dict.fromkeys(self.answers))[:4]
        self.answers = [one for one in self.answers if one not in said]
        return said


class Outbox:
    """What goes out."""

    def __init__(self) -> None:
        self.waiting: queue.Queue[bytes] = queue.Queue()
        self.going: dict[bytes, list[int]] = {}
        self.messages: dict[bytes, bytes] = {}
        self.ends: queue.Queue[tuple[bytes, int]] = queue.Queue()

    def again(self) -> None:
        """After a break each message begins with part 0."""
        for progress in self.going.values():
            progress[0] = 0

    def next(self) -> tuple[bytes, int, int, bytes] | None:
        """A part of each message in turn."""
        while len(self.going) < 4 and not self.waiting.empty():
            message = self.waiting.get()
            self.messages[transfer_id(message)] = message
            self.going[transfer_id(message)] = [0]
        for transfer in list(self.going):
            index, message = self.going[transfer][0], self.messages[transfer]
            if index * DATA < len(message):
                self.going[transfer] = [index + 1]
                self.going[transfer] = self.going.pop(transfer)  # last in turn
                return part_of(message, index)
        return None

    def answered(self, word: int, transfer: bytes, have: int) -> None:
        """What the peer says of a message. Raises Broken."""
        if transfer in self.going:
            if word == HAVE:
                if have * DATA >= len(self.messages[transfer]):
                    raise Broken("it has more than there is")
                self.going[transfer][0] = have
            else:
                del self.going[transfer]
                self.ends.put((self.messages.pop(transfer), word))


class Second:
    """A remailer's end of one link."""

    def __init__(
        self, certificate: Path, key: Path, peer: str, rate: float, store: Callable[[bytes], int]
    ) -> None:
        """`peer`: the peer's certificate, PEM; `store`: makes a message durable, and says STORED,
        LATER or REFUSED."""
        self.files, self.peer, self.period = (certificate, key), peer, 1 / rate
        self.inbox, self.outbox, self.store = Inbox(), Outbox(), store
        self.line: ssl.SSLSocket | None = None
        self.turn = threading.Lock()  # OpenSSL's connections are for one thread at a time

    def _context(self, side: int) -> ssl.SSLContext:
        context = ssl.SSLContext(side)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname, context.verify_mode = False, ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_cert_chain(*self.files)
        context.load_verify_locations(cadata=self.peer)
        if side == ssl.PROTOCOL_TLS_SERVER:
            context.num_tickets = 0
        return context

    def called(self, listening: socket.socket) -> None:
        """Wait for one call, and talk until the connection breaks."""
        plain, _ = listening.accept()
        plain.settimeout(5)
        context = self._context(ssl.PROTOCOL_TLS_SERVER)
        self._talk(context.wrap_socket(plain, server_side=True), first=True)

    def call(self, host: str, port: int) -> None:
        """Call the peer once, and talk until the connection breaks."""
        plain = socket.create_connection((host, port), 5)
        self._talk(self._context(ssl.PROTOCOL_TLS_CLIENT).wrap_socket(plain), first=False)

    def _talk(self, line: ssl.SSLSocket, *, first: bool) -> None:
        if line.getpeercert(binary_form=True) != ssl.PEM_cert_to_DER_cert(self.peer):
            line.close()
            return
        self.line = line
        self.outbox.again()
        line.settimeout(30)
        heard, gone = threading.Event(), threading.Event()
        if first:
            heard.set()
        speaking = threading.Thread(target=self._speak, args=(line, heard, gone))
        speaking.start()
        try:
            while cell := self._cell(line):
                part, answers = read(cell)
                with self.turn:
                    for answer in answers:
                        self.outbox.answered(*answer)
                    if part and (message := self.inbox.take(part)):
                        self.inbox.became(message, self.store(message))
                heard.set()
        except (OSError, Broken):
            pass
        finally:
            gone.set()
            heard.set()
            speaking.join()
            line.close()

    def _speak(self, line: ssl.SSLSocket, heard: threading.Event, gone: threading.Event) -> None:
        heard.wait()
        start = time.monotonic()
        while not gone.is_set():
            try:
                with self.turn:
                    line.sendall(write(self.outbox.next(), self.inbox.say()))
            except OSError:
                return
            late = (time.monotonic() - start) % self.period
            time.sleep(self.period - late)

    def _cell(self, line: ssl.SSLSocket) -> bytes:
        data = b""
        while len(data) < CELL:
            if not line.pending() and not select.select([line], [], [], 30)[0]:
                return b""
            with self.turn:
                line.settimeout(0)  # what came may be half a record
                try:
                    more = line.recv(CELL - len(data))
                except ssl.SSLWantReadError:
                    continue
                finally:
                    line.settimeout(30)
            if not more:
                return b""
            data += more
        return data

    def cut(self) -> None:
        """Break the connection, as a network does."""
        with contextlib.suppress(OSError):  # it may just be gone
            if self.line:
                # Below TLS: SSLSocket's own would go on in clear.
                socket.socket.shutdown(self.line, socket.SHUT_RDWR)
