"""A node's keys folder, as `remailer init` makes it and `remailer run` reads it.

identity.json   name, address, hosts, link port and what it speaks: nothing secret
openpgp.asc     the secret OpenPGP key, armoured
link.key        the RSA key of the link, PEM
link.crt        its self-signed certificate, PEM
secret          32 random bytes, from which the spool's keys are derived
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from pydantic import BaseModel, ConfigDict, ValidationError

from remailer.directory import Directory, Peer, Speaks
from remailer.errors import SetupError

DOMAIN = r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*"
IDENTITY, OPENPGP, LINK_KEY, LINK_CERTIFICATE, SECRET = FILES = (
    "identity.json",
    "openpgp.asc",
    "link.key",
    "link.crt",
    "secret",
)
NEXT_KEY, NEXT_CERTIFICATE = f"{LINK_KEY}.next", f"{LINK_CERTIFICATE}.next"
"""There while the link key changes: renew.py."""
SECRET_LENGTH = 32


class Identity(BaseModel):
    """What a node calls itself; identity.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    address: str
    hosts: tuple[str, ...]
    link_port: int
    speaks: Speaks


@dataclass(frozen=True)
class Keys:
    """All of the folder; the link's key stays in its file, which OpenSSL reads itself."""

    identity: Identity
    openpgp: bytes
    secret: bytes
    certificate: Path
    link_key: Path

    @property
    def folder(self) -> Path:
        """Where all of it lies."""
        return self.certificate.parent

    @property
    def domain(self) -> str:
        """The node's mail domain, lower case."""
        return self.identity.address.rpartition("@")[2].lower()

    def entry_in(self, directory: Directory) -> Peer:
        """The node's own entry. Raises SetupError unless it says what this node is."""
        entry = directory.named(self.identity.name)
        ours = self.certificate.read_text().strip()
        if (
            entry is None
            or entry.model_dump(include=set(Identity.model_fields)) != self.identity.model_dump()
            or ours not in (pem.strip() for pem in entry.certificates)
        ):
            raise SetupError(
                f"directory: its entry for {self.identity.name} is missing or not of these keys: "
                "put in what `remailer init` printed"
            )
        if entry.speaks in ("tls", "cells"):
            self._check_dates(ours)
        return entry

    def _check_dates(self, certificate: str) -> None:
        """A node that no peer would talk to had better not start."""
        try:
            dates = x509.load_pem_x509_certificate(certificate.encode())
        except ValueError:
            raise SetupError(f"{self.certificate}: not a certificate") from None
        if not dates.not_valid_before_utc <= datetime.now(UTC) <= dates.not_valid_after_utc:
            raise SetupError(f"{self.certificate}: not valid today: make new keys")


def load(folder: Path) -> Keys:
    """Read a keys folder. Raises SetupError, with one line."""
    try:
        keys = Keys(
            identity=Identity.model_validate_json((folder / IDENTITY).read_bytes()),
            openpgp=(folder / OPENPGP).read_bytes(),
            secret=(folder / SECRET).read_bytes(),
            certificate=folder / LINK_CERTIFICATE,
            link_key=folder / LINK_KEY,
        )
    except OSError as error:
        raise SetupError(f"{error.filename}: {error.strerror}: run `remailer init` first") from None
    except ValidationError as error:
        raise SetupError(f"{folder / IDENTITY}: {error.errors()[0]['msg']}") from None
    if len(keys.secret) != SECRET_LENGTH:
        raise SetupError(f"{folder / SECRET}: not {SECRET_LENGTH} bytes")
    return keys
