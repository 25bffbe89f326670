"""Real mail: which letters a run sends, and how they are submitted and read back.

Every letter carries the run's marks in its sender, recipient, subject, body and Message-ID. What is
compared in the end is the body as the recipient's IMAP server gives it: byte for byte.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from email.utils import formatdate

from remailer.client import chain, reply_block
from remailer.client.submission import Submission
from remailer.directory import Directory
from testbed.topology import MailHost, Topology
from testbed.wire.canary import Canaries

KB = 1000
CLEAN_LINES = (
    b".",
    b"..two dots",
    b"From the line's start",
    b"trailing blanks  ",
    "naïve “8-bit”".encode(),
)
"""Lines that careless mail software changes; each body has them all."""


@dataclass
class Letter:
    """One mail of a run, as it was meant and as it arrived."""

    number: int
    kind: str
    """`matrix` (a reply block over one link), `forward`, `reply`, or `direct` (no remailer)."""
    path: tuple[str, ...]
    sender: str
    recipient: str
    subject: str
    message_id: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    """Header lines that the letter asks the last remailer to set, besides the Subject."""
    sent_at: float = 0.0
    """time.monotonic() when the sender's mail host had taken it."""
    seen_at: float = 0.0
    """time.monotonic() when the recipient first found it."""
    delivered: list[bytes] = field(default_factory=list)
    """The raw mails that arrived for it: there should be one."""

    @property
    def whole(self) -> bool:
        """It arrived once, and its body is what was sent."""
        return len(self.delivered) == 1 and body_of(self.delivered[0]) == self.body


def body_of(mail: bytes) -> bytes:
    """What follows the header of a mail with CRLF line ends."""
    return mail.partition(b"\r\n\r\n")[2]


def text(rng: random.Random, size: int, mark: str) -> bytes:
    """About `size` bytes of CRLF text (at least its fixed lines), beginning with the mark."""
    lines = [mark.encode(), *CLEAN_LINES]
    length = sum(len(line) + 2 for line in lines)
    while length < size:
        line = rng.randbytes(rng.randint(5, 38)).hex().encode()
        lines.append(line)
        length += len(line) + 2
    return b"\r\n".join(lines) + b"\r\n"


def mime(rng: random.Random, size: int, mark: str) -> tuple[tuple[tuple[str, str], ...], bytes]:
    """A multipart body with its header lines: a text and an attachment in base64-like lines."""
    boundary = rng.randbytes(12).hex()
    half = text(rng, size // 2, mark)
    parts = (
        b"--%b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n%b\r\n"
        b"--%b\r\nContent-Type: application/octet-stream\r\n\r\n%b\r\n--%b--\r\n"
    ) % (boundary.encode(), half, boundary.encode(), text(rng, size // 2, mark), boundary.encode())
    headers = (
        ("MIME-Version", "1.0"),
        ("Content-Type", f'multipart/mixed; boundary="{boundary}"'),
    )
    return headers, parts


class Plan:
    """Makes the letters of a run; the random source decides paths, users and texts."""

    def __init__(self, topology: Topology, canaries: Canaries, rng: random.Random) -> None:
        """No letter is made yet."""
        self.topology, self.canaries, self.rng = topology, canaries, rng
        self.names = [node.name for node in topology.remailers]
        self.letters: list[Letter] = []

    def load(self) -> list[Letter]:
        """A whole run's letters: every link both ways, chains of 1 to 4, replies, sizes, MIME."""
        for sender, receiver in self.topology.links:
            self.add("matrix", (sender.name, receiver.name), 1 * KB)
        for name in self.names:
            self.add("forward", (name,), 2 * KB)
        for hops, size, as_mime in (
            (1, 100 * KB, True), (2, 1 * KB, False), (2, 10 * KB, True), (3, 10 * KB, False),
            (3, 100 * KB, False), (4, 1 * KB, True), (4, 10 * KB, False), (4, 100 * KB, True),
        ):  # fmt: skip
            self.add("forward", self.path(hops), size, as_mime=as_mime)
        self.add("forward", self.path(1), 1000 * KB)
        for hops in (1, 2, 3, 3):
            self.add("reply", self.path(hops), 4 * KB)
        self.direct()
        return self.letters

    def direct(self) -> None:
        """Ordinary mail past the remailers, both ways: what the controls look for."""
        self.add("direct", (), 2 * KB)
        self.add("direct", (), 2 * KB, back=True)

    def path(self, hops: int) -> tuple[str, ...]:
        """A random chain without a node twice."""
        return tuple(self.rng.sample(self.names, min(hops, len(self.names))))

    def add(
        self,
        kind: str,
        path: tuple[str, ...],
        size: int,
        *,
        as_mime: bool = False,
        back: bool = False,
    ) -> Letter:
        """Make one letter of `size` bytes; replies and `back` go from the recipient's host."""
        home, away = self.topology.sender, self.topology.recipient
        if kind == "reply" or back:
            home, away = away, home
        number = len(self.letters)
        mark = {code: self.canaries.mark(number, code) for code in "srjbm"}
        headers: tuple[tuple[str, str], ...] = ()
        if as_mime:
            headers, body = mime(self.rng, size, mark["b"])
        else:
            body = text(self.rng, size, mark["b"])
        letter = Letter(
            number=number,
            kind=kind,
            path=path,
            sender=self._user(home, mark["s"]),
            recipient=self._user(away, mark["r"]),
            subject=f"about {mark['j']}",
            message_id=f"<{mark['m']}@{home.domain}>",
            body=body,
            headers=headers,
        )
        self.letters.append(letter)
        return letter

    def _user(self, host: MailHost, mark: str) -> str:
        return f"{self.rng.choice(host.users)}+{mark}@{host.domain}"


def submission(letter: Letter, directory: Directory) -> tuple[str, bytes]:
    """Where a letter is mailed to, and the whole mail as its sender's mail program makes it.

    A `matrix` or `reply` letter uses a reply block made for its recipient: the text is the tail
    that stands in clear behind the block's armour.
    """
    to, body = letter.recipient, letter.body
    if letter.kind == "forward":
        made: Submission = chain.make(
            directory, letter.path, [letter.recipient], letter.subject, letter.body, letter.headers
        )
        to, body = made.recipient, made.body
    elif letter.path:
        block = reply_block.make(directory, letter.path, letter.recipient)
        made = reply_block.answer(block, letter.body)
        to, body = made.recipient, made.body
    head = (
        f"From: {letter.sender}\r\nTo: {to}\r\nSubject: {letter.subject}\r\n"
        f"Date: {formatdate()}\r\nMessage-ID: {letter.message_id}\r\n"
    )
    head += "".join(f"{name}: {value}\r\n" for name, value in letter.headers if not letter.path)
    return to, head.encode() + b"\r\n" + body
