"""The pins: TLS contexts that trust the keys of known parties and nothing else.

Each side trusts only what the directory says (and a node of cells its file of guests): the server
all certificates, the client that one peer's; and the one shown must equal it byte for byte, so that
trusting it as an authority for others gains nothing. There is no older TLS and no resumption.
The contexts are made by hand: ssl.create_default_context would obey SSLKEYLOGFILE.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from remailer.errors import SetupError


class Owner(Protocol):
    """Whoever has link keys: a party, a directory's entry."""

    @property
    def name(self) -> str:
        """What it is called, and nobody else."""

    @property
    def certificates(self) -> tuple[str, ...]:
        """Its link certificates, PEM."""


class Pins:
    """A node's own link key, and those of its peers. Raises SetupError if they can't be read."""

    def __init__(self, certificate: Path, key: Path, parties: Iterable[Owner]) -> None:
        self._own = (certificate, key)
        parties = tuple(parties)
        self._known = {party.name: _der(party) for party in parties}
        everybody = [pem for party in parties for pem in party.certificates]
        self.server = self._context(ssl.PROTOCOL_TLS_SERVER, everybody)
        self.server.num_tickets = 0  # nothing to resume with
        self._clients: dict[str, ssl.SSLContext] = {}

    def client(self, peer: Owner) -> ssl.SSLContext:
        """For a connection to that peer; `shows` has to be asked after the handshake."""
        if peer.name not in self._clients:
            made = self._context(ssl.PROTOCOL_TLS_CLIENT, peer.certificates)
            self._clients[peer.name] = made
        return self._clients[peer.name]

    def shows(self, certificate: bytes | None, peer: Owner) -> bool:
        """Whether that certificate (DER) is one of the peer's."""
        return certificate in self._known[peer.name]

    def owner(self, certificate: bytes | None) -> str | None:
        """Whose certificate (DER) that is, if we know it."""
        return next((name for name, ders in self._known.items() if certificate in ders), None)

    def _context(self, side: int, trusted: Iterable[str]) -> ssl.SSLContext:
        context = ssl.SSLContext(side)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = False  # the certificate itself is compared, not a name in it
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
        context.options |= ssl.OP_NO_TICKET
        try:
            context.load_cert_chain(*self._own)
            context.load_verify_locations(cadata="\n".join(trusted))
        except ssl.SSLError as error:
            raise SetupError(
                f"link key or certificate: {error.reason}: if `remailer renew --switch` was "
                "interrupted, say it again; else make new keys"
            ) from None
        except OSError as error:
            raise SetupError(f"{self._own[0]}: {error.strerror}") from None
        return context


def _der(party: Owner) -> set[bytes]:
    try:
        certificates = [x509.load_pem_x509_certificate(pem.encode()) for pem in party.certificates]
    except ValueError:
        raise SetupError(f"directory: {party.name}: a certificate is none: get its entry") from None
    return {one.public_bytes(Encoding.DER) for one in certificates}
