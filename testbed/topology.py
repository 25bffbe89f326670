"""What a web consists of: nodes, mail hosts, addresses, link stage. Nothing here does I/O."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import permutations

from testbed.errors import UsageError

LINK_PORT = 2525
"""The agreed unprivileged port on which remailers talk to each other (nobody logs it)."""

PROBE_PORT = 2600
"""First of the ports on which the prober answers as a peer."""

MAX_NODES = 200
FIRST_UID = 20001
"""Uid of the first node; each node has one of its own, so that none can read another's memory."""
MAX_PROXIED = 6
"""Nodes of a web in which each directed link has a user with a proxy."""
FIRST_GUEST, FIRST_GUEST_UID = 211, 21001
"""The last octet and the uid of the first of these users."""

_NAMES = (
    "alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliett",
    "kilo", "lima", "mike", "november", "oscar", "papa", "quebec", "romeo", "sierra", "tango",
    "uniform", "victor", "whiskey", "xray", "yankee", "zulu",
)  # fmt: skip


class Link(StrEnum):
    """The link stages: what remailers speak to each other (docs/claims.md)."""

    PORT25 = "port25"
    DIRECT25 = "direct25"
    SMTP = "smtp"
    TLS = "tls"
    CELLS = "cells"

    @property
    def port(self) -> int:
        """Where a remailer takes its peers' mail; 25 is its host's mail system."""
        return 25 if self in {Link.PORT25, Link.DIRECT25} else LINK_PORT


@dataclass(frozen=True)
class Node:
    """A remailer: its name, its place in the web's network, and the uid it runs as."""

    name: str
    host: str
    uid: int

    @property
    def domain(self) -> str:
        """The node's own mail domain, with an MX record that points at itself."""
        return f"{self.name}.remailer.test"

    @property
    def names(self) -> tuple[str, str]:
        """What it may call itself."""
        return self.name, self.domain

    @property
    def address(self) -> str:
        """Where users write to."""
        return f"remailer@{self.domain}"


@dataclass(frozen=True)
class Guest:
    """A user with a proxy: its name, place and uid, and the two remailers that its mail takes."""

    name: str
    host: str
    uid: int
    path: tuple[str, str]


@dataclass(frozen=True)
class MailHost:
    """An ordinary mail host (Postfix and Dovecot, logs on) with its users' local parts."""

    name: str
    host: str
    users: tuple[str, ...]

    @property
    def domain(self) -> str:
        """The host's mail domain."""
        return f"{self.name}.test"


@dataclass(frozen=True)
class Topology:
    """A whole web. `net` is the first three octets of its /24; everything else follows from it."""

    web: str = "unlogged"
    link: Link = Link.CELLS
    nodes: int = 5
    pool: str = "exponential:1.0"
    net: str = "10.193.0"
    leaks: Mapping[str, str] = field(default_factory=dict)
    """Planted leaks: node name → name of the plant in tests/leaks/."""
    cells: int = 2
    """Cells a second on each link, each way; on `cells` only."""
    hosted: bool = False
    """Each node is a user's process beside a mail host that logs; on port 25 it has to be."""
    proxies: bool = False
    """Each directed link has a user of its own, who is a guest of its first node; on `cells`."""
    witness: str = "full"
    """`plain`: without CAP_SYS_ADMIN, so that nodes aren't watched from their first instruction."""

    def __post_init__(self) -> None:
        if self.link.port == 25:
            object.__setattr__(self, "hosted", True)
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,30}", self.web):
            raise UsageError(
                f"WEB={self.web!r} is not a name: use 1 to 31 of a-z, 0-9, - and _, "
                "beginning with a letter or digit"
            )
        if not 2 <= self.nodes <= MAX_NODES:
            raise UsageError(f"NODES={self.nodes}: a web has 2 to {MAX_NODES} remailers")
        if not 1 <= self.cells <= 100:
            raise UsageError(f"CELLS={self.cells}: 1 to 100 cells a second")
        if self.proxies and (self.link is not Link.CELLS or self.nodes > MAX_PROXIED):
            raise UsageError(f"proxies: only on cells, and in webs of at most {MAX_PROXIED} nodes")
        if self.witness not in {"full", "plain"}:
            raise UsageError(f"WITNESS={self.witness!r}: use full, or plain (no CAP_SYS_ADMIN)")
        if not re.fullmatch(
            r"off|exponential:[0-9]+(\.[0-9]+)?|timed:[0-9]+,[0-9]+,[0-9]+", self.pool
        ):
            raise UsageError(
                f"POOL={self.pool!r}: use off, exponential:MEAN with a mean in seconds, or "
                "timed:SECONDS,LEAST,PERCENT (with LEAST above 0 some mail never leaves)"
            )

    def make(self, goal: str) -> str:
        """The command for this web as people type it: `make up`, with its name if it needs one."""
        return f"make {goal}" + ("" if self.web == Topology.web else f" WEB={self.web}")

    @property
    def remailers(self) -> tuple[Node, ...]:
        """All nodes, in order."""
        return tuple(
            Node(_name(i), f"{self.net}.{11 + i}", FIRST_UID + i) for i in range(self.nodes)
        )

    @property
    def guests(self) -> tuple[Guest, ...]:
        """The users with proxies, if there are such."""
        return tuple(
            Guest(
                f"user-{a.name}-{b.name}", f"{self.net}.{FIRST_GUEST + at}", FIRST_GUEST_UID + at,
                (a.name, b.name),
            )
            for at, (a, b) in enumerate(self.links if self.proxies else ())
        )  # fmt: skip

    def keys_volume(self, owner: Node | Guest) -> str:
        """What Docker calls the volume in which a node, or a user with a proxy, has its keys."""
        return f"{self.web}_{owner.name}-keys"

    @property
    def sender(self) -> MailHost:
        """Where the users who write have their accounts."""
        return MailHost("sender", f"{self.net}.241", ("alice", "andrew", "anna"))

    @property
    def recipient(self) -> MailHost:
        """Where the users who are written to have their accounts."""
        return MailHost("recipient", f"{self.net}.242", ("bob", "barbara", "boris"))

    @property
    def mailhosts(self) -> tuple[MailHost, ...]:
        """Both ordinary mail hosts."""
        return (self.sender, self.recipient)

    @property
    def dns(self) -> str:
        """The authoritative server's address."""
        return f"{self.net}.2"

    @property
    def prober(self) -> str:
        """Where the active prober lives while it probes."""
        return f"{self.net}.250"

    @property
    def links(self) -> tuple[tuple[Node, Node], ...]:
        """Every directed link between two remailers."""
        return tuple(permutations(self.remailers, 2))

    @property
    def bridge(self) -> str:
        """Name of the web's own bridge (at most 15 characters), which the sniffer reads."""
        return f"ulw-{self._digest}"

    @property
    def edge_bridge(self) -> str:
        """Name of the bridge on which the mail hosts publish submission and IMAP."""
        return f"ule-{self._digest}"

    @property
    def _digest(self) -> str:
        return hashlib.sha256(self.web.encode()).hexdigest()[:8]

    def whois(self, host: str) -> str:
        """The name that belongs to an address, or the address itself: for people to read."""
        names = {n.host: n.name for n in self.remailers}
        names |= {m.host: m.name for m in self.mailhosts}
        names |= {g.host: g.name for g in self.guests}
        names |= {self.dns: "dns", self.prober: "prober"}
        return names.get(host, host)


def _name(index: int) -> str:
    round_, place = divmod(index, len(_NAMES))
    return _NAMES[place] + (str(round_ + 1) if round_ else "")
