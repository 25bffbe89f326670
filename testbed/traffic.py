"""Real mail: which letters a run sends, and how they are submitted.

Every letter carries the run's marks in its sender, recipient, subject, body and Message-ID. What is
compared in the end is the body as the recipient's IMAP server gives it: byte for byte.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate

from remailer.client import chain, reply_block
from remailer.client.submission import Submission
from remailer.directory import Directory
from testbed.topology import MailHost, Node, Topology
from testbed.wire.canary import FIELDS, Canaries
from testbed.wire.digests import Digests, Trail

KB = 1000
CLEAN_LINES = (
    b".",
    b"..two dots",
    b"From the line's start",
    b"trailing blanks  ",
    "naïve “8-bit”".encode(),
)
"""Lines that careless mail software changes; each body has them all."""

ONE_HOP = 24
"""Letters of the second load that each node passes on by itself: of these its delays in the pool
are measured. So many show a pool of two symbols (testbed/wire/law.py)."""


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
    def domain(self) -> str:
        """The recipient's mail domain, which no other letter has."""
        return self.recipient.rpartition("@")[2]

    @property
    def home(self) -> str:
        """The domain of the recipient's mail host."""
        return self.domain.removeprefix(_own(self.number))

    @property
    def whole(self) -> bool:
        """It arrived once, and its body is what was sent."""
        return len(self.delivered) == 1 and body_of(self.delivered[0]) == self.body


def _own(number: int) -> str:
    return f"n{number:04d}."


def body_of(mail: bytes) -> bytes:
    """What follows the header of a mail with CRLF line ends."""
    return mail.partition(b"\r\n\r\n")[2]


def values(letters: Iterable[Letter], canaries: Canaries) -> list[str]:
    """What letters carry that somebody may hash: each mark, and the whole words around them."""
    return [
        value
        for letter in letters
        for value in (
            *(canaries.mark(letter.number, code) for code in FIELDS),
            letter.sender,
            letter.recipient,
            letter.message_id,
            letter.message_id.strip("<>"),
            letter.subject,
        )
    ]


def trail(letters: Iterable[Letter], canaries: Canaries, node: Node) -> Trail:
    """What a node may leave of the letters that went through it."""
    own = [letter for letter in letters if node.name in letter.path]
    return Trail(canaries, Digests.of(values(own, canaries), node.names))


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


@dataclass(frozen=True)
class Sort:
    """Letters of one sort, spread evenly: so many go first to each node."""

    kind: str
    hops: int
    each: int
    size: int


SECOND = (
    Sort("forward", 1, ONE_HOP, 1 * KB),
    Sort("reply", 1, 4, 1 * KB),
    Sort("forward", 2, 2, 1 * KB),
    Sort("reply", 2, 2, 1 * KB),
)
"""The second load: more letters than the first, and small ones. With both every node handles 25
mails and more: a leak may begin only after the twentieth. What it is made of is cheap to make."""


class Plan:
    """Makes the letters of a run; the random source decides paths, users and texts."""

    def __init__(self, topology: Topology, canaries: Canaries, rng: random.Random) -> None:
        """No letter is made yet."""
        self.topology, self.canaries, self.rng = topology, canaries, rng
        self.names = [node.name for node in topology.remailers]
        self.letters: list[Letter] = []

    def first(self) -> list[Letter]:
        """The first load: every link both ways, chains of 1 to 4, replies, sizes, MIME."""
        start = len(self.letters)
        for sender, receiver in self.topology.links:
            self.add("matrix", (sender.name, receiver.name), 1 * KB)
        for name in self.names:
            self.add("forward", (name,), 2 * KB)
        for first, (hops, size, as_mime) in enumerate((
            (1, 100 * KB, True), (2, 1 * KB, False), (2, 50 * KB, True), (2, 10 * KB, False),
            (3, 10 * KB, False), (3, 1 * KB, True), (3, 10 * KB, False), (4, 1 * KB, True),
        )):  # fmt: skip
            self.add("forward", self.path(hops, first), size, as_mime=as_mime)
        self.add("forward", self.path(1), 1000 * KB)
        for hops in (1, 2, 3, 3):
            self.add("reply", self.path(hops), 4 * KB)
        self.direct()
        return _longest_first(self.letters[start:])

    def second(self, sorts: Sequence[Sort] = SECOND) -> list[Letter]:
        """The second load, of these sorts."""
        start = len(self.letters)
        for sort in sorts:
            for first in range(len(self.names)):
                for step in range(sort.each):
                    self.add(sort.kind, self.ring(first, sort.hops, step + 1), sort.size)
        made = self.letters[start:]
        self.rng.shuffle(made)
        return _longest_first(made)

    def ring(self, first: int, hops: int, step: int) -> tuple[str, ...]:
        """A chain from that node on, `step` nodes further each time; none twice in a row."""
        count = len(self.names)
        step = (step - 1) % (count - 1) + 1
        return tuple(self.names[(first + hop * step) % count] for hop in range(hops))

    def direct(self) -> None:
        """Ordinary mail past the remailers, both ways: what the controls look for."""
        self.add("direct", (), 2 * KB)
        self.add("direct", (), 2 * KB, back=True)

    def path(self, hops: int, first: int | None = None) -> tuple[str, ...]:
        """A random chain without a node twice; from that node on, if one is given."""
        names = self.rng.sample(self.names, len(self.names))
        if first is not None:
            start = self.names[first % len(names)]
            names = [start, *(name for name in names if name != start)]
        return tuple(names[:hops])

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
        if kind == "direct":  # what the search for digests has to find
            headers = (("X-Digest", hashlib.sha256(mark["s"].encode()).hexdigest()),)
        if as_mime:
            headers, body = mime(self.rng, size, mark["b"])
        else:
            body = text(self.rng, size, mark["b"])
        letter = Letter(
            number=number,
            kind=kind,
            path=path,
            sender=self._user(home, mark["s"]),
            recipient=self._user(away, mark["r"], _own(number)),
            subject=f"about {mark['j']}",
            message_id=f"<{mark['m']}@{home.domain}>",
            body=body,
            headers=headers,
        )
        self.letters.append(letter)
        return letter

    def _user(self, host: MailHost, mark: str, own: str = "") -> str:
        """An address at that host; `own`: in a domain of its own, so that look-ups are, too."""
        return f"{self.rng.choice(host.users)}+{mark}@{own}{host.domain}"


def _longest_first(letters: list[Letter]) -> list[Letter]:
    """Those that take most hops begin first, as they arrive last."""
    return sorted(letters, key=lambda letter: -len(letter.path))


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
