"""STARTTLS on port 25 (RFC 3207): opportunistic, as RFC 7435 means it.

The rule: TLS if the other side can, clear if not; nobody is verified, and nothing is claimed of it
but that who only listens reads less. Links have nothing to do with it. Contexts are made by hand:
ssl.create_default_context would obey SSLKEYLOGFILE.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from remailer.errors import SetupError
from remailer.init import CERTIFICATE_DAYS, pem, self_signed

HANDSHAKE_SECONDS = 20.0


class HostKey:
    """What port 25 shows: the operator's certificate, or one of its own."""

    def __init__(self, load: Callable[[ssl.SSLContext], None]) -> None:
        """`load`: puts certificate and key into a context. Raises OSError."""
        self._load = load

    @classmethod
    def of(cls, certificate: Path, key: Path) -> HostKey:
        """From PEM files, read again for each handshake. Raises SetupError if they are none."""
        # With a password, be it empty: or OpenSSL would ask the terminal, at each handshake.
        made = cls(lambda context: context.load_cert_chain(certificate, key, ""))
        try:
            made.context()
        except ssl.SSLError as error:
            why = error.reason or "no certificate with its key, in PEM, without a passphrase"
            raise SetupError(f"--certificate {certificate}: {why}") from None
        except OSError as error:
            raise SetupError(f"--certificate: {certificate} or {key}: {error.strerror}") from None
        return made

    @classmethod
    def make(cls, domain: str) -> HostKey:
        """A new one that stands in memory only, and ends with the process: nobody verifies it."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self_signed(key, domain, datetime.now(UTC), CERTIFICATE_DAYS * 10)
        return cls(partial(_load, (pem(key) + certificate).encode()))

    def context(self) -> ssl.SSLContext:
        """A server's context for one handshake: so there is nothing from before to resume with.

        OpenSSL keeps what TLS 1.2 can resume in the context, for hours. Raises OSError.
        """
        context = _context(ssl.PROTOCOL_TLS_SERVER)
        context.num_tickets = 0
        self._load(context)
        return context


def _load(both: bytes, context: ssl.SSLContext) -> None:
    """OpenSSL reads certificate and key from files only: these are pipes, and empty at once."""
    with _pipe(both) as certificate, _pipe(both) as key:
        context.load_cert_chain(certificate, key)


@contextmanager
def _pipe(data: bytes) -> Iterator[str]:
    """The path of a pipe in which these bytes lie; at most 64 KiB, which a pipe holds."""
    out, into = os.pipe()
    try:
        with os.fdopen(into, "wb", buffering=0) as end:
            end.write(data)
        yield f"/proc/self/fd/{out}"
    finally:
        os.close(out)


def client_context() -> ssl.SSLContext:
    """A client's context that takes any certificate."""
    return _context(ssl.PROTOCOL_TLS_CLIENT)


def _context(side: int) -> ssl.SSLContext:
    context = ssl.SSLContext(side)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # with older hosts: in clear (RFC 8996)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    return context
