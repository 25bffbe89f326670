"""The directory: one public file of which remailers there are, their keys and what they speak.

Peers are found here and nowhere else (not in DNS), and what a link speaks is stated here, never
negotiated: so there is nothing to downgrade.
"""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Literal, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from remailer.errors import SetupError
from remailer.party import Party

Speaks = Literal["port25", "direct25", "smtp", "tls", "cells"]
"""What remailers speak to each other. On the first two mail comes in by the host's mail system."""
HOSTED: tuple[Speaks, ...] = ("port25", "direct25")

NAME = r"^[a-z][a-z0-9-]{0,30}$"
"""What a remailer may be named."""


class Peer(BaseModel):
    """One remailer's public entry."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=NAME)
    address: str
    """Where mail for it goes: `remailer@alpha.remailer.test`."""
    hosts: tuple[str, ...] = Field(min_length=1)
    """IP addresses of its link port, in order of preference."""
    link_port: int = Field(gt=0, lt=65536)
    speaks: Speaks
    certificates: tuple[str, ...] = Field(min_length=1, max_length=2)
    """Its self-signed link certificates, PEM, trusted for this peer only. Two while keys change."""
    openpgp: str
    """Its armoured OpenPGP certificate, to which senders encrypt."""

    @field_validator("hosts")
    @classmethod
    def _addresses(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        """No names: whom the system asks for those isn't ours to say."""
        for host in hosts:
            try:
                ip_address(host)
            except ValueError:
                raise ValueError(f"{host!r} is no IP address") from None
        return hosts

    @property
    def domain(self) -> str:
        """The address's domain, lower case."""
        return self.address.rpartition("@")[2].lower()

    @property
    def party(self) -> Party:
        """What a link of cells has to know of it."""
        return Party(self.name, self.certificates, self.hosts, self.link_port, self.speaks)

    @property
    def pins(self) -> tuple[str, ...]:
        """SHA-256 of each link key's SubjectPublicKeyInfo, hex: what people compare."""
        return tuple(pin(pem) for pem in self.certificates)


class Directory(BaseModel):
    """All remailers of a web."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    remailers: tuple[Peer, ...]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        for what in ("name", "domain"):
            values = [getattr(peer, what) for peer in self.remailers]
            if len(set(values)) < len(values):
                raise ValueError(f"two remailers of one {what}")
        return self

    def named(self, name: str) -> Peer | None:
        """The remailer of that name, if there is one."""
        return next((p for p in self.remailers if p.name == name), None)

    def at(self, address: str) -> Peer | None:
        """The remailer that a mail address belongs to: its whole domain is the remailer's."""
        domain = address.rpartition("@")[2].lower()
        return next((p for p in self.remailers if p.domain == domain), None)


def load(path: Path) -> Directory:
    """Read a directory file (JSON). Raises SetupError, with one line, if it is not one."""
    try:
        return Directory.model_validate_json(path.read_bytes())
    except OSError as error:
        raise SetupError(f"directory {path}: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(str(part) for part in first["loc"])
        raise SetupError(f"directory {path}: {at or 'file'}: {first['msg']}") from None


def pin(certificate_pem: str) -> str:
    """SHA-256 of a certificate's SubjectPublicKeyInfo, hex."""
    spki = (
        x509.load_pem_x509_certificate(certificate_pem.encode())
        .public_key()
        .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )
    digest = hashes.Hash(hashes.SHA256())
    digest.update(spki)
    return digest.finalize().hex()
