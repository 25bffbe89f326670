"""A guest's own keys: what `remailer guest` makes and `remailer proxy` reads.

guest.json   the entry that the first remailer's operator gets: name and certificate
link.key     the RSA key of the link, PEM
link.crt     its self-signed certificate, PEM
secret       32 random bytes, from which the spool's keys are derived
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from pydantic import ValidationError

from remailer.directory import NAME
from remailer.errors import SetupError
from remailer.guests import Guest
from remailer.init import link_pair, write
from remailer.keys import LINK_CERTIFICATE, LINK_KEY, SECRET, SECRET_LENGTH

ENTRY = "guest.json"


@dataclass(frozen=True)
class GuestKeys:
    """All of the folder; the link's key stays in its file, which OpenSSL reads itself."""

    entry: Guest
    secret: bytes
    certificate: Path
    link_key: Path


def make(folder: Path, name: str) -> Guest:
    """Make a guest's keys and write them, durably; its entry. Raises SetupError."""
    for file in (ENTRY, LINK_KEY, LINK_CERTIFICATE, SECRET):
        if (folder / file).exists():
            raise SetupError(f"{folder / file}: there already: keys are not overwritten")
    if not re.fullmatch(NAME, name):
        raise SetupError(f"{name!r}: a name has at most 31 of a-z, 0-9 and -, a letter first")
    key, certificate = link_pair(name, datetime.now(UTC))
    entry = Guest(name=name, certificates=(certificate,))
    contents = {
        LINK_KEY: key.encode(),
        LINK_CERTIFICATE: certificate.encode(),
        SECRET: secrets.token_bytes(SECRET_LENGTH),
        ENTRY: entry.model_dump_json(indent=1).encode() + b"\n",
    }
    write(folder, contents)
    return entry


def load(folder: Path) -> GuestKeys:
    """Read the folder. Raises SetupError, also if the certificate isn't valid today."""
    try:
        entry = Guest.model_validate_json((folder / ENTRY).read_bytes())
        secret = (folder / SECRET).read_bytes()
        shown = x509.load_pem_x509_certificate((folder / LINK_CERTIFICATE).read_bytes())
    except OSError as error:
        raise SetupError(
            f"{error.filename}: {error.strerror}: run `remailer guest` first"
        ) from None
    except ValidationError as error:
        raise SetupError(f"{folder / ENTRY}: {error.errors()[0]['msg']}") from None
    except ValueError:
        raise SetupError(f"{folder / LINK_CERTIFICATE}: not a certificate") from None
    if len(secret) != SECRET_LENGTH:
        raise SetupError(f"{folder / SECRET}: not {SECRET_LENGTH} bytes")
    if not shown.not_valid_before_utc <= datetime.now(UTC) <= shown.not_valid_after_utc:
        raise SetupError(
            f"{folder / LINK_CERTIFICATE}: not valid today: `remailer guest` with another --keys, "
            "and give its entry to the first remailer's operator"
        )
    return GuestKeys(entry, secret, folder / LINK_CERTIFICATE, folder / LINK_KEY)
