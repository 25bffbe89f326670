"""Guests: users who may call a node's link port; the node's operator knows them, nobody else does.

A guest is a name and a key, without an address: it calls, and can't be called, and no mail is
routed to it. Guests stand in a file of this node's own, read when it starts, in no directory.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from remailer.directory import NAME, Directory, Peer, pin
from remailer.errors import SetupError
from remailer.party import Party

MOST_GUESTS = 32
"""Each costs the pacer a cell at each tick, and may hold four messages of 4 MiB in memory."""


class Guest(BaseModel):
    """One guest's entry."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=NAME)
    certificates: tuple[str, ...] = Field(min_length=1, max_length=2)
    """Its self-signed link certificates, PEM. Two while keys change."""

    @property
    def party(self) -> Party:
        """What a link has to know of it."""
        return Party(self.name, self.certificates)


class Guests(BaseModel):
    """All guests of one node; the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    guests: tuple[Guest, ...] = Field(max_length=MOST_GUESTS)


def load(path: Path, directory: Directory) -> tuple[Guest, ...]:
    """Read a file of guests (JSON). Raises SetupError, with one line, also for a name or a key that
    two have, guests or remailers of the directory."""
    try:
        guests = Guests.model_validate_json(path.read_bytes()).guests
    except OSError as error:
        raise SetupError(f"guests {path}: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(str(part) for part in first["loc"])
        raise SetupError(f"guests {path}: {at or 'file'}: {first['msg']}") from None
    names = {peer.name for peer in directory.remailers}
    owners = {key: peer.name for peer in directory.remailers for key in _pins(peer, path)}
    for guest in guests:
        if guest.name in names:
            raise SetupError(f"guests {path}: two are named {guest.name}: one needs another name")
        names.add(guest.name)
        for key in _pins(guest, path):
            if key in owners:
                raise SetupError(
                    f"guests {path}: {owners[key]} and {guest.name} have one key: ask for a new one"
                )
        owners |= dict.fromkeys(_pins(guest, path), guest.name)
    return guests


def _pins(party: Peer | Guest, path: Path) -> Iterator[str]:
    for certificate in party.certificates:
        try:
            yield pin(certificate)
        except ValueError:
            raise SetupError(
                f"guests {path}: {party.name}: a certificate is none: get its entry again"
            ) from None
