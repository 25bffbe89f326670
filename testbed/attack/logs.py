"""What D reads in mail hosts' logs: the same things that W sees on wires, a second coarse. Pure.

Only what arrived at a host is looked at, and from whom: that stands in the receiver's log on
`direct25` as well as on `port25`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from testbed.attack.observation import Entry, Link, Observation, Transfer
from testbed.topology import Topology

RESOLUTION = 1.0
"""Seconds: Postfix's log tells no finer time."""

_LINE = re.compile(r"(\w{3} [ \d]\d [\d:]{8}) \S+ postfix\S*: ([0-9A-F]{6,}): (.*)")
_CLIENT = re.compile(r"client=\S*\[([\d.]+)\]")
_FROM = re.compile(r"from=<([^>]*)>, size=(\d+)")


@dataclass
class _Mail:
    """What a log says of one mail, by its queue's name for it."""

    came: float = 0.0
    given: float = 0.0
    client: str = ""
    sender: str = ""
    size: int = 0
    identity: str = ""


def read(
    logs: Mapping[str, Sequence[str]], topology: Topology, since: float, until: float
) -> Observation:
    """Entries and transfers, from the logs of all remailers' hosts."""
    names = {node.host: node.name for node in topology.remailers}
    hosts = {host.host for host in topology.mailhosts}
    entries: list[Entry] = []
    links: dict[Link, list[Transfer]] = {(a.name, b.name): [] for a, b in topology.links}
    for name in names.values():
        for mail in _mails(logs.get(name, ()), since):
            if not since - RESOLUTION <= mail.came < until:
                continue
            if mail.client in hosts:
                seen = Transfer(mail.came, mail.given, mail.size, mail.identity.encode())
                entries.append(Entry(name, mail.sender, seen))
            elif mail.client in names and names[mail.client] != name:
                link = names[mail.client], name
                links[link].append(Transfer(mail.came, mail.came, mail.size))
    return Observation(
        tuple(names.values()),
        tuple(sorted(entries, key=lambda one: one.mail.end)),
        {link: tuple(sorted(found, key=lambda t: t.start)) for link, found in links.items()},
        span=(since, until),
        resolution=RESOLUTION,
    )


def _mails(log: Sequence[str], since: float) -> Iterator[_Mail]:
    year = datetime.fromtimestamp(since, UTC).year
    found: dict[str, _Mail] = defaultdict(_Mail)
    for line in log:
        if not (match := _LINE.match(line)):
            continue
        mail, said = found[match[2]], match[3]
        at = datetime.strptime(f"{year} {match[1]}", "%Y %b %d %H:%M:%S").replace(tzinfo=UTC)
        if client := _CLIENT.match(said):
            mail.client, mail.came = client[1], at.timestamp()
            mail.given = mail.came
        elif sender := _FROM.match(said):
            mail.sender, mail.size = sender[1], int(sender[2])
        elif said.startswith("message-id="):
            mail.identity = said
        elif "delivered to command" in said:
            mail.given = at.timestamp()
    yield from found.values()
