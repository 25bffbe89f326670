"""The mail that is sent to be attacked: from whom to whom, by which hops, when. And its sending.

Everybody has one path and one person to write to, so that an attacker has something to learn from
many mails; the times are those of a Poisson process, and the sizes are spread evenly on a
logarithmic scale. Rounds come after it, with nothing else in the web: they are for the active ones.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.utils import formatdate

import aiosmtplib

from remailer.client import chain, reply_block
from remailer.client.submission import Submission
from remailer.directory import Directory
from testbed import mailbox
from testbed.topology import Topology
from testbed.traffic import text
from testbed.web import Web

SMALL, LARGE = 1000, 16000
"""Bytes of the smallest and the largest text."""
OWN = 2
"""Mails that S sends into each hop beside the one that he is after."""


@dataclass(frozen=True)
class Size:
    """How many mails of each kind go over each directed link, and how many rounds follow."""

    forward: int = 5
    reply: int = 4
    sealed: int = 2
    """Replies to a block with an `Encrypt-Key` in each layer."""
    padded: int = 0
    """Forward mail in size classes, as `remailer send --pad` and every proxy makes it."""
    tagged: int = 1
    rounds: int = 4
    rate: float = 1.0
    """Mails a second into each hop."""

    @property
    def a_link(self) -> dict[str, int]:
        """By kind."""
        return {
            "forward": self.forward, "reply": self.reply, "sealed": self.sealed,
            "padded": self.padded, "tagged": self.tagged,
        }  # fmt: skip

    @property
    def mails(self) -> int:
        """Mails over one directed link, without those of the rounds."""
        return sum(self.a_link.values())


@dataclass(frozen=True)
class Posted:
    """One letter as it is submitted, and what is true of it."""

    kind: str
    """`forward`, `reply`, `sealed`, `padded`, `tagged`; in rounds `target` and `own`."""
    path: tuple[str, str]
    sender: str
    recipient: str
    at: float
    """Seconds after the beginning."""
    to: str
    """The remailer that it is mailed to; by a proxy it is the recipient."""
    mail: bytes
    mark: str
    """Stands in the Message-ID up to the first hop, and in the text."""
    tag: bytes = b""
    """What A appends to the mail on its way to the first hop."""


@dataclass(frozen=True)
class Load:
    """All that one web is sent."""

    main: tuple[Posted, ...]
    rounds: tuple[tuple[Posted, ...], ...]


def plan(topology: Topology, directory: Directory, size: Size, rng: random.Random) -> Load:
    """Make all letters, and seal them: kinds `forward`, `reply`, `sealed`, `padded`, `tagged`, and
    in rounds `target` and `own`. Where users have proxies these seal, and all mail is `padded`."""
    maker = _Maker(topology, directory, rng)
    paths = [(a.name, b.name) for a, b in topology.links]
    wanted = [
        (kind, path) for kind, count in size.a_link.items() for path in paths for _ in range(count)
    ]
    rng.shuffle(wanted)
    main, at = [], 0.0
    for kind, path in wanted:
        at += rng.expovariate(size.rate * topology.nodes)
        main.append(maker.post(kind, path, at))
    return Load(tuple(main), tuple(maker.round(paths) for _ in range(size.rounds)))


class _Maker:
    """Seals letters; blocks are made once for each path and used again, as people do."""

    def __init__(self, topology: Topology, directory: Directory, rng: random.Random) -> None:
        self.topology, self.directory, self.rng = topology, directory, rng
        self.run = f"{rng.getrandbits(32):08x}"
        self.count = 0
        self.blocks: dict[tuple[str, tuple[str, str]], bytes] = {}

    def round(self, paths: Sequence[tuple[str, str]]) -> tuple[Posted, ...]:
        """For each hop a target, and S's own mails, which leave by the same links as the target."""
        made = []
        for hop in dict.fromkeys(first for first, _ in paths):
            ways = [path for path in paths if path[0] == hop]
            kinds = ["target"] + ["own"] * OWN
            made += [self.post(kind, self.rng.choice(ways), 0.0) for kind in kinds]
        self.rng.shuffle(made)
        return tuple(made)

    def post(self, kind: str, path: tuple[str, str], at: float) -> Posted:
        """One letter over a path, submitted `at` seconds after the beginning."""
        home, away = self.topology.sender, self.topology.recipient
        if kind in {"reply", "sealed"}:
            home, away = away, home
        who = f"{kind}-{'-'.join(path)}"
        sender = f"{home.users[0]}+{who}@{home.domain}"
        recipient = f"{away.users[0]}+{who}@{away.domain}"
        mark, self.count = f"{self.run}.{self.count:05d}", self.count + 1
        body = text(self.rng, round(SMALL * (LARGE / SMALL) ** self.rng.random()), mark)
        if self.topology.proxies:
            return self._by_proxy(path, recipient, at, mark, body)
        made = self._submission(kind, path, recipient, body)
        tag = b"tag %032x\r\n" % self.rng.getrandbits(128) if kind == "tagged" else b""
        head = (
            f"From: {sender}\r\nTo: {made.recipient}\r\n"
            f"Date: {formatdate()}\r\nMessage-ID: <{mark}@{home.domain}>\r\n\r\n"
        )
        mail = head.encode() + made.body + tag
        return Posted(kind, path, sender, recipient, at, made.recipient, mail, mark, tag)

    def _by_proxy(
        self, path: tuple[str, str], recipient: str, at: float, mark: str, body: bytes
    ) -> Posted:
        """As a user's mail program hands it in: only its text goes on, with the mark in it."""
        user = next(guest.name for guest in self.topology.guests if guest.path == path)
        head = f"From: me@localhost\r\nTo: {recipient}\r\nDate: {formatdate()}\r\n\r\n"
        return Posted("padded", path, user, recipient, at, recipient, head.encode() + body, mark)

    def _submission(
        self, kind: str, path: tuple[str, str], recipient: str, body: bytes
    ) -> Submission:
        if kind not in {"reply", "sealed"}:
            padded = kind == "padded"
            return chain.make(self.directory, path, [recipient], "", body, padded=padded)
        if (kind, path) not in self.blocks:
            phrases = reply_block.phrases(len(path), self.rng) if kind == "sealed" else ()
            made = reply_block.make(self.directory, path, recipient, phrases=phrases)
            self.blocks[kind, path] = made
        return reply_block.answer(self.blocks[kind, path], body)


async def send(web: Web, posted: Sequence[Posted], sent: Callable[[], None]) -> None:
    """Submit letters through their senders' mail hosts, each at its time; raises WebError."""
    began = time.monotonic()

    async def post(client: aiosmtplib.SMTP, one: Posted) -> None:
        await asyncio.sleep(max(0.0, began + one.at - time.monotonic()))
        await client.sendmail(one.sender, [one.to], one.mail)
        sent()

    await mailbox.submit(web, sorted(posted, key=lambda one: one.at), post)
