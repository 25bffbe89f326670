"""`remailer renew`: a node's link key changes without a flag day, in two steps.

The rule: the next key lies beside the one in use until the operator says that every peer's
directory has both; whatever is interrupted is finished by saying it again.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from remailer import keys, openpgp
from remailer.directory import Peer
from remailer.errors import SetupError
from remailer.init import link_pair, sync, write


def prepare(folder: Path) -> Peer:
    """Make the next link key, unless it is there; the entry with both certificates.

    Raises SetupError.
    """
    own = keys.load(folder)
    key, certificate = folder / keys.NEXT_KEY, folder / keys.NEXT_CERTIFICATE
    if certificate.exists() and not key.exists():
        raise SetupError(f"{folder}: a switch was interrupted: `remailer renew --switch` again")
    if not _whole(key, certificate):
        for half in (key, certificate):  # of an interruption: nobody was shown it
            half.unlink(missing_ok=True)
        secret, public = link_pair(own.domain, datetime.now(UTC))
        write(folder, {key.name: secret.encode(), certificate.name: public.encode()})
    return _entry(own, own.certificate, certificate)


def switch(folder: Path) -> Peer:
    """Put the next link key in the place of the one in use; the entry with its certificate only.

    Raises SetupError. The node uses it when it is started again.
    """
    key, certificate = folder / keys.NEXT_KEY, folder / keys.NEXT_CERTIFICATE
    if not certificate.exists() or (key.exists() and not _whole(key, certificate)):
        raise SetupError(f"{folder}: no next link key: `remailer renew` first")
    try:
        # In this order: what is left of an interruption is the certificate.
        if key.exists():
            key.replace(folder / keys.LINK_KEY)
        certificate.replace(folder / keys.LINK_CERTIFICATE)
        sync(folder)
    except OSError as error:
        raise SetupError(f"{error.filename or folder}: {error.strerror}") from None
    own = keys.load(folder)
    return _entry(own, own.certificate)


def _whole(key: Path, certificate: Path) -> bool:
    """Whether both were written to their ends. Raises OSError if they can't be read."""
    try:
        shown = x509.load_pem_x509_certificate(certificate.read_bytes())
        secret = load_pem_private_key(key.read_bytes(), None)
    except (FileNotFoundError, ValueError):
        return False
    return secret.public_key() == shown.public_key()


def _entry(own: keys.Keys, *certificates: Path) -> Peer:
    return Peer(
        **own.identity.model_dump(),
        certificates=tuple(file.read_text() for file in certificates),
        openpgp=openpgp.certificate(own.openpgp),
    )
