"""The catalogue of planted leaks: which claim must catch each, at its node, and as what."""

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
    also: frozenset[str] = frozenset()
    """Other claims that may accuse the node because of it."""


CATALOGUE = (
    Plant("stdout_line", "careless", "silent-output", "stdout"),
    Plant("volume_file", "careless", "silent-volume", "volume"),
    Plant("tmpfs_file", "careless", "silent-tmpfs", "tmpfs"),
    Plant("syslog_datagram", "careless", "silent-syslog", "syslog", frozenset({"contacts"})),
    Plant("received_kept", "careless", "headers", "received"),
    Plant(
        "link_clear",
        "careless",
        "link-encrypted",
        "clear",
        frozenset({"link-canary", "link-ephemeral", "link-pinned"}),
    ),
    Plant("peer_unpinned", "technical", "link-refuses", "stranger", frozenset({"link-pinned"})),
    Plant("spool_clear", "technical", "spool-sealed", "spool", frozenset({"silent-volume"})),
    Plant("sync_off", "technical", "durable", "not durable"),
    Plant("message_id_kept", "careless", "headers", "message-id"),
)

BY_NAME = {plant.name: plant for plant in CATALOGUE}
