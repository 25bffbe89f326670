"""`remailer check`: are keys, disk, peers, DNS and port 25 well? Asked on the node's own host.

The rule: it looks at what a node has, never at what it carries; not even how much waits is told.
Only the terminal gets anything. Each peer sees a connection that brings no mail, and the resolver
questions about the node's own name and addresses.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dns.name
import dns.reversename
from cryptography import x509

from remailer import directory, guests, keys, openpgp
from remailer.deliver import SOCKET
from remailer.directory import Directory, Peer
from remailer.errors import RemailerError, SetupError
from remailer.gate import MAX_STRANGERS
from remailer.keys import Keys
from remailer.link.kinds import Link, links
from remailer.link.smtp import Conversation, Unreachable
from remailer.node import Place
from remailer.resolver import NoSuchName, Resolver, domain_name
from remailer.silence import Voice, hush
from remailer.spool import RESERVE

WELL, TROUBLE, UNCHECKED = 0, 1, 2
RENEW_DAYS = 30
"""A link certificate that ends sooner than that is trouble: every peer has to get the next one."""
SCARCE = 4 * RESERVE
"""Bytes free on the spool's volume below which it is trouble."""
CROWDED = MAX_STRANGERS - MAX_STRANGERS // 10
"""Connections to port 25 from which on it is trouble."""
PEERS_AT_A_TIME = 16
PORT_SECONDS = 10.0


@dataclass(frozen=True)
class Line:
    """What was looked at, and how it is; `trouble` says what is wrong and what to do."""

    what: str
    well: str = ""
    trouble: str = ""

    def __str__(self) -> str:
        word, said = ("trouble", self.trouble) if self.trouble else ("ok     ", self.well)
        return f"{word} {self.what}: {' '.join(said.split())}"


def check(keys_folder: Path, directory_file: Path, place: Place) -> int:
    """Say a line for each thing looked at: WELL, TROUBLE, or UNCHECKED with one on stderr."""
    voice = Voice()
    hush()
    try:
        return asyncio.run(_say(voice, keys_folder, directory_file, place))
    except RemailerError as error:
        voice.complain(f"remailer: can't check: {error}")
    except Exception as error:  # nobody else has a voice now
        voice.complain(
            f"remailer: can't check: {type(error).__name__}: {' '.join(str(error).split())}"
        )
    return UNCHECKED


async def _say(voice: Voice, keys_folder: Path, directory_file: Path, place: Place) -> int:
    own, known = keys.load(keys_folder), directory.load(directory_file)
    resolver = Resolver(place.resolver, place.resolver_port)
    status = WELL
    async for line in lines(own, known, place, resolver):
        voice.say(str(line))
        status = TROUBLE if line.trouble else status
    return status


async def lines(
    own: Keys, known: Directory, place: Place, resolver: Resolver
) -> AsyncIterator[Line]:
    """All that is looked at, in the order in which an operator would mend it. Raises SetupError."""
    now = datetime.now(UTC)
    for line in (_private(own.folder), _entry(own, known), _certificate(own, now), _disk(place)):
        yield line
    if place.hosted:
        yield await _host(place)
    else:
        yield await _port_25(own.domain, place)
        yield _connections(place.port)
    for line in await _dns(own, resolver):
        yield line
    if place.guests:
        yield _guests(place.guests, known, now)
    link = links(own, known)
    peers = [peer for peer in known.remailers if peer.name != own.identity.name]
    turns = asyncio.Semaphore(PEERS_AT_A_TIME)
    for done in [asyncio.create_task(_peer(link[peer.speaks], peer, turns)) for peer in peers]:
        yield await done


# -- what is on the disk --------------------------------------------------------------------------


def _private(folder: Path) -> Line:
    for name in (keys.OPENPGP, keys.LINK_KEY, keys.SECRET):
        if (folder / name).stat().st_mode & 0o077:
            return Line("keys", trouble=f"{folder / name} is open to other users: chmod 600 it")
    return Line("keys", f"in {folder}, for this user only")


def _entry(own: Keys, known: Directory) -> Line:
    try:
        entry = own.entry_in(known)
        same = openpgp.fingerprint(entry.openpgp) == openpgp.fingerprint(
            openpgp.certificate(own.openpgp)
        )
    except SetupError as error:
        return Line("directory", trouble=str(error))
    if not same:
        return Line(
            "directory",
            trouble="its OpenPGP key for this node is another: put in what `remailer init` printed",
        )
    return Line("directory", "has this node's keys")


def _certificate(own: Keys, now: datetime) -> Line:
    what = "link certificate"
    try:
        certificate = x509.load_pem_x509_certificate(own.certificate.read_bytes())
    except (ValueError, OSError):
        return Line(what, trouble=f"{own.certificate} can't be read: see `remailer renew`")
    days = (certificate.not_valid_after_utc - now).days
    if days < 0:
        return Line(what, trouble="expired: no peer talks to this node: see `remailer renew`")
    if days < RENEW_DAYS:
        return Line(what, trouble=f"{days} days left: get the next one ready: `remailer renew`")
    return Line(what, f"{days} days left")


def _guests(path: Path, known: Directory, now: datetime) -> Line:
    """Of the file only: who of them is there isn't for a terminal."""
    try:
        found = guests.load(path, known)
    except SetupError as error:
        return Line("guests", trouble=str(error))
    shown = {
        guest.name: [x509.load_pem_x509_certificate(pem.encode()) for pem in guest.certificates]
        for guest in found
    }
    soon = now + timedelta(days=RENEW_DAYS)
    late = [n for n, ones in shown.items() if max(c.not_valid_after_utc for c in ones) < soon]
    if late:
        return Line("guests", trouble=f"{', '.join(late)}: certificate ends soon: ask for another")
    return Line("guests", f"{len(found)} may call")


def _disk(place: Place) -> Line:
    """No number: how much is free would say how much waits."""
    try:
        volume = os.statvfs(place.spool)
    except OSError as error:
        return Line("disk", trouble=f"{place.spool}: {error.strerror}: no mail is taken")
    free = volume.f_bavail * volume.f_frsize
    if volume.f_flag & os.ST_RDONLY or not os.access(place.spool, os.W_OK | os.X_OK):
        return Line("disk", trouble=f"{place.spool} can't be written to: no mail is taken")
    if free < RESERVE:
        return Line(
            "disk",
            trouble=f"full: less than {RESERVE >> 20} MiB free at {place.spool}: no mail is taken, "
            "what was taken is safe: make room",
        )
    if free < SCARCE:
        return Line("disk", trouble=f"nearly full: less than {SCARCE >> 20} MiB free: make room")
    return Line("disk", f"room for mail at {place.spool}")


# -- what the world sees --------------------------------------------------------------------------


async def _port_25(domain: str, place: Place) -> Line:
    what = f"port {place.port}"
    try:
        async with asyncio.timeout(PORT_SECONDS):
            greeted = await Conversation.begin(place.host or "127.0.0.1", place.port, domain)
            await greeted.end()
    except (Unreachable, TimeoutError):
        return Line(what, trouble="nobody greets there: is the node running, and not overrun?")
    return Line(what, "greets")


def _connections(port: int) -> Line:
    """Is the port nearly full? No number here either: connections follow the mail."""
    tables = [Path(f"/proc/net/{name}") for name in ("tcp", "tcp6")]
    rows = [row.split() for t in tables if t.exists() for row in t.read_text().splitlines()[1:]]
    here = [row for row in rows if int(row[1].rpartition(":")[2], 16) == port and row[3] == "01"]
    if len(here) >= CROWDED:
        return Line(
            "connections",
            trouble=f"port {port} is nearly full: a flood, or clients that don't get on? Who has "
            "most of them is hung up on for others: `ss` tells who, a firewall can keep him out",
        )
    return Line("connections", f"room on port {port}")


async def _host(place: Place) -> Line:
    """Beside a mail host: the socket that `remailer deliver` goes to."""
    what = "remailer deliver"
    try:
        async with asyncio.timeout(PORT_SECONDS):
            reader, writer = await asyncio.open_unix_connection(place.spool / SOCKET)
            greeting = await reader.readline()
            writer.close()
    except (OSError, TimeoutError):
        greeting = b""
    if not greeting.startswith(b"220"):
        return Line(what, trouble="nobody takes its mail: is the node running, with --hosted?")
    return Line(what, "is answered")


async def _dns(own: Keys, resolver: Resolver) -> list[Line]:
    name = domain_name(own.domain)
    try:
        await resolver.ask(name, "MX")
    except Unreachable:
        why = "no answer: mail to ordinary hosts waits: mend it, or start with another --resolver"
        return [Line("resolver", trouble=why)]
    except NoSuchName:
        pass
    hosts = own.identity.hosts
    return [
        Line("resolver", "answers"),
        await _told(_mx(name, hosts, resolver), f"MX of {own.domain}"),
        *[await _told(_ptr(name, host, resolver), f"PTR of {host}") for host in hosts],
    ]


async def _told(asked: Awaitable[str], what: str) -> Line:
    """A line of what was found; trouble if nothing was."""
    try:
        return Line(what, await asked)
    except (NoSuchName, Unreachable, _Wrong) as error:
        return Line(what, trouble=str(error))


class _Wrong(RemailerError):
    """A record that leads somewhere else."""


async def _mx(name: dns.name.Name, hosts: tuple[str, ...], resolver: Resolver) -> str:
    records = sorted(await resolver.ask(name, "MX"), key=lambda record: int(record.preference))
    exchangers = [record.exchange for record in records] or [name]
    leads = [one for exchanger in exchangers for one in await resolver.addresses(exchanger)]
    if not set(leads) & set(hosts):
        raise _Wrong(
            f"leads to {', '.join(leads) or 'nowhere'}, not to {', '.join(hosts)}: no mail comes in"
        )
    return "leads here"


async def _ptr(name: dns.name.Name, host: str, resolver: Resolver) -> str:
    """Mail hosts compare our HELO, which is the domain, with the address's name, both ways."""
    records = await resolver.ask(dns.reversename.from_address(host), "PTR")
    names = [record.target for record in records]
    if name not in names:
        shown = ", ".join(one.to_text(omit_final_dot=True) for one in names) or "missing"
        raise _Wrong(f"{shown}, and we greet as {name.to_text(True)}: some hosts refuse our mail")
    if host not in await resolver.addresses(name):
        raise _Wrong(f"{name.to_text(True)} has no such address: some hosts refuse our mail")
    return "is the name that we greet with"


async def _peer(link: Link, peer: Peer, turns: asyncio.Semaphore) -> Line:
    what = f"peer {peer.name}"
    async with turns:
        try:
            conversation = await link.connect(peer)
        except Unreachable as error:
            return Line(what, trouble=f"{_why(str(error))}; mail for it waits")
        await conversation.end()
    pinned = peer.speaks in ("tls", "cells")
    return Line(what, "answers with the directory's key" if pinned else "answers")


def _why(said: str) -> str:
    """The likely cause of what a link says."""
    if "CERTIFICATE_VERIFY_FAILED" in said or "not the key" in said:
        return "shows another key than the directory's, or an expired one: is the directory new?"
    return f"no conversation ({said}): is it down, or does its directory not have our key?"
