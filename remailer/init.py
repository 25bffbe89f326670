"""`remailer init`: a node makes its own keys; only its public directory entry leaves it."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pydantic import ValidationError

from remailer import keys, openpgp
from remailer.directory import Peer
from remailer.errors import SetupError
from remailer.keys import Identity

LINK_KEY_BITS = 3072
CERTIFICATE_DAYS = 365


def make(folder: Path, identity: Identity) -> Peer:
    """Make all keys and write them, durably; the node's directory entry.

    Raises SetupError if anything is wrong, or there already: keys are never overwritten.
    """
    domain = identity.address.rpartition("@")[2].lower()
    if not re.fullmatch(keys.DOMAIN, domain) or identity.address != f"remailer@{domain}":
        raise SetupError(f"--address {identity.address!r}: use remailer@ and the node's own domain")
    there = [name for name in keys.FILES if (folder / name).exists()]
    if there:
        raise SetupError(f"{folder / there[0]}: there already: keys are not overwritten")
    link_key, certificate = link_pair(domain, datetime.now(UTC))
    secret_key = openpgp.generate(f"{identity.name} <{identity.address}>")
    try:
        entry = Peer(
            **identity.model_dump(),
            certificates=(certificate,),
            openpgp=openpgp.certificate(secret_key),
        )
    except ValidationError as error:
        first = error.errors()[0]
        option = str(first["loc"][0]).replace("_", "-").replace("hosts", "host")
        raise SetupError(f"--{option}: {first['msg']}") from None
    contents = {
        keys.OPENPGP: secret_key,
        keys.LINK_KEY: link_key.encode(),
        keys.LINK_CERTIFICATE: certificate.encode(),
        keys.SECRET: secrets.token_bytes(keys.SECRET_LENGTH),
        keys.IDENTITY: identity.model_dump_json(indent=1).encode() + b"\n",
    }
    write(folder, contents)
    return entry


def link_pair(domain: str, now: datetime, days: int = CERTIFICATE_DAYS) -> tuple[str, str]:
    """An RSA key and its self-signed certificate, PEM, valid from `now`'s midnight for `days`."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=LINK_KEY_BITS)
    return pem(key), self_signed(key, domain, now, days)


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    """A private key, not encrypted."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def self_signed(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, domain: str, now: datetime, days: int
) -> str:
    """A certificate of that key for both sides of a connection, PEM."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, domain)])
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    both_sides = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    public = key.public_key()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(midnight)
        .not_valid_after(midnight + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(domain)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(both_sides), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM).decode()


def write(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write new files that only this user can read, durably. Raises SetupError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, data in contents.items():
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            descriptor = os.open(folder / name, flags, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fdatasync(descriptor)
        sync(folder)
    except OSError as error:
        raise SetupError(f"{error.filename or folder}: {error.strerror}") from None


def sync(folder: Path) -> None:
    """Make the folder's names durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(descriptor)
    os.close(descriptor)
