"""A web that is only simulated: what an attacker would see of it, and what is true of it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from testbed.attack.load import Posted
from testbed.attack.observation import Entry, Exit, Link, Observation, Transfer
from testbed.attack.truth import Handed, Truth

HOPS = ("alpha", "bravo", "charlie", "delta", "echo")
LINKS: list[Link] = [(a, b) for a in HOPS for b in HOPS if a != b]
LINE = 64


def steady(rng: random.Random) -> float:
    """How long a hop without a pool takes."""
    return rng.uniform(0.04, 0.06)


def pooled(mean: float) -> Callable[[random.Random], float]:
    return lambda rng: 0.05 + rng.expovariate(1 / mean)


def armour(rng: random.Random, size: int) -> bytes:
    """Lines of random text, as long as a message of `size` bytes is when it is armoured."""
    text = rng.randbytes(size).hex()[: size * 4 // 3]
    lines = "\r\n".join(text[at : at + LINE] for at in range(0, len(text), LINE))
    return b"-----BEGIN PGP MESSAGE-----\r\n%b\r\n-----END PGP MESSAGE-----\r\n" % lines.encode()


@dataclass
class Simulated:
    """One way that a web may be; `seen` and `truth` are made from it."""

    seed: int = 1
    mails: int = 5
    """A link, of each kind."""
    kinds: tuple[str, ...] = ("forward", "reply")
    rate: float = 5.0
    delay: Callable[[random.Random], float] = steady
    clear: bool = True
    """Links can be read, else they are encrypted."""
    cells: bool = False
    """Nothing of the mail shows on the links: cells of one size at fixed times."""
    entries: list[Entry] = field(default_factory=list)
    letters: list[Posted] = field(default_factory=list)
    exits: list[tuple[int, Exit]] = field(default_factory=list)
    links: dict[Link, list[Transfer]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.links = {link: [] for link in LINKS}
        self.inner = {link: armour(self.rng, 2000) for link in LINKS}
        self.blocks = {link: armour(self.rng, len(own)) for link, own in self.inner.items()}
        wanted = [(kind, link) for kind in self.kinds for link in LINKS for _ in range(self.mails)]
        self.rng.shuffle(wanted)
        at = 1.0
        for kind, link in wanted:
            at += self.rng.expovariate(self.rate)
            self.mail(kind, link, at)
        self.end = max((exit_.mail.end for _, exit_ in self.exits), default=at) + 1
        if self.cells:
            self.links = {link: self._cells(place) for place, link in enumerate(LINKS)}

    def mail(self, kind: str, link: Link, at: float) -> None:
        """One mail on its way: in at the first hop, over the link, out of the second."""
        number = len(self.entries)
        size = (
            self.rng.choice([4000, 8000, 16000])
            if kind == "padded"
            else round(1000 * 16 ** self.rng.random())
        )
        text = armour(self.rng, size).replace(b"PGP MESSAGE", b"TEXT")
        if kind in {"forward", "padded"}:
            passed = armour(self.rng, size)
            came = armour(self.rng, len(passed))
        else:
            came, passed = self.blocks[link] + text, self.inner[link] + text
        who = f"{kind}-{'-'.join(link)}"
        over = at + self.delay(self.rng)
        left = over + self.delay(self.rng)
        sender, recipient = f"{who}@sender.test", f"{who}@recipient.test"
        self.entries.append(Entry(link[0], sender, Transfer(at - 0.01, at, len(came), came)))
        shown = passed if self.clear else self.rng.randbytes(len(passed))
        self.links[link].append(Transfer(over, over + 0.01, len(passed), shown))
        self.exits.append((number, Exit(link[1], recipient, Transfer(left, left, size, text))))
        self.letters.append(
            Posted(kind, link, sender, recipient, at, f"remailer@{link[0]}", came, str(number))
        )

    def _cells(self, place: int) -> list[Transfer]:
        """Ten a second, whatever there is to carry, each link a little late in its own way."""
        late = [n / 10 + self.rng.uniform(place, 25) / 1000 for n in range(int(self.end * 10))]
        return [Transfer(at, at, 16000) for at in late]

    @property
    def seen(self) -> Observation:
        ordered = sorted(self.exits, key=lambda one: one[1].mail.end)
        packets = {
            link: tuple((t.start, min(1448, t.size)) for t in transfers)
            for link, transfers in self.links.items()
        }
        return Observation(
            HOPS,
            tuple(self.entries),
            {link: tuple(sorted(own, key=lambda t: t.start)) for link, own in self.links.items()},
            tuple(exit_ for _, exit_ in ordered),
            packets,
            (0.0, self.end),
        )

    @property
    def truth(self) -> Truth:
        ordered = sorted(self.exits, key=lambda one: one[1].mail.end)
        exits = {number: place for place, (number, _) in enumerate(ordered)}
        left = {place: self.letters[number] for number, place in exits.items()}
        handed = tuple(Handed(one.sender, one.path[0], one.at, one.at) for one in self.letters)
        return Truth(dict(enumerate(self.letters)), exits, left, handed)
