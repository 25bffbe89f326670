"""The catalogue of planted leaks: which claim must catch each, at its node, as what, by what."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plant:
    """A planted leak; its module in this folder, of the same name, says what somebody did."""

    name: str
    grade: str
    """How it comes about: `careless` or `technical`."""
    claim: str
    """The claim that must catch it."""
    kind: str
    """What that claim must call it."""
    shows: str
    """A regular expression that a piece of its evidence must match (where it was, and what)."""
    also: frozenset[str] = frozenset()
    """Other claims that must accuse the node of it too."""
    perhaps: frozenset[str] = frozenset()
    """Claims that may accuse the node of it, depending on when they look."""
    hosted: bool = False
    """It takes a mail host beside the node."""


CATALOGUE = (
    Plant("stdout_line", "careless", "silent-output", "stdout", r"mail of \d+ bytes"),
    Plant("volume_file", "careless", "silent-volume", "volume", r"mail\.log"),
    Plant("tmpfs_file", "careless", "silent-tmpfs", "tmpfs", r"/dev/shm/last-mail"),
    Plant(
        "syslog_datagram",
        "careless",
        "silent-syslog",
        "syslog",
        r"frame \d+.* port 514.*took \d+ bytes",
        also=frozenset({"contacts"}),
    ),
    Plant("received_kept", "careless", "headers", "received", r"(?i)received: .*mail\.sender"),
    Plant(
        "link_clear",
        "careless",
        "link-encrypted",
        "clear",
        r"frame \d+.*MAIL FROM",
        also=frozenset({"link-canary", "link-pinned"}),
        perhaps=frozenset({"link-ephemeral"}),
    ),
    Plant(
        "peer_unpinned",
        "technical",
        "link-refuses",
        "stranger",
        r"let in",
        also=frozenset({"link-pinned"}),
    ),
    Plant(
        "spool_clear",
        "technical",
        "spool-sealed",
        "spool",
        r"spool\.db",
        perhaps=frozenset({"silent-volume"}),
    ),
    Plant("sync_off", "technical", "durable", "not durable", r"250"),
    Plant("message_id_kept", "careless", "headers", "message-id", r"(?i)message-id"),
    Plant("mail_reported", "careless", "delivered", "mail", r"no letter of this run asked for"),
    Plant(
        "hop_by_host",
        "careless",
        "log-hops",
        "log",
        r"mail\.log, line \d+.*to=<remailer@",
        also=frozenset({"contacts", "link-port", "link-encrypted", "link-canary"}),
        # Its host finds no impostor in the DNS, so there is nothing to see of what it would do.
        perhaps=frozenset({"link-ephemeral", "link-pinned"}),
        hosted=True,
    ),
)

BY_NAME = {plant.name: plant for plant in CATALOGUE}
