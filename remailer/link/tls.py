"""The TLS link: SMTP inside mutually authenticated TLS 1.3, keys pinned by the directory.

Both sides prove an RSA-3072 key by signing an ephemeral key exchange. Each side trusts only what
the directory says: the server all remailers' certificates, the client that one peer's; and the
certificate shown must equal the directory's byte for byte, so that trusting it as an authority
for others gains nothing. There is no plain greeting, no older TLS, no resumption, no fallback.
The contexts are made by hand: ssl.create_default_context would obey SSLKEYLOGFILE.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from remailer.directory import Directory, Peer
from remailer.errors import SetupError
from remailer.link.porch import Porch, Visitor
from remailer.link.smtp import Admit, Conversation, Unreachable, first_host, listen


class TlsLink:
    """Mutual TLS 1.3 on the link port. Raises SetupError if key or certificates can't be read."""

    def __init__(self, domain: str, certificate: Path, key: Path, directory: Directory) -> None:
        self._domain = domain
        self._own = (certificate, key)
        self._known = {peer.name: _der(peer) for peer in directory.remailers}
        everybody = [pem for peer in directory.remailers for pem in peer.certificates]
        self._server = self._context(ssl.PROTOCOL_TLS_SERVER, everybody)
        self._server.num_tickets = 0  # nothing to resume with
        self._clients: dict[str, ssl.SSLContext] = {}

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

    async def open(
        self,
        protocol: Callable[[Admit], asyncio.BaseProtocol],
        host: str | None,
        port: int,
    ) -> asyncio.Server:
        """Listen; the protocol starts after the handshake, and only for the directory's keys."""
        porch = Porch(self._server, lambda: protocol(self._admit))
        return await listen(lambda: Visitor(porch), host, port)

    def _admit(self, transport: asyncio.BaseTransport) -> bool:
        shown = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return any(shown in certificates for certificates in self._known.values())

    async def connect(self, peer: Peer) -> Conversation:
        """A conversation with the owner of the peer's key. Raises Unreachable, also for others.

        In TLS 1.3 the client's handshake ends before the server has judged its certificate: that
        the server took it is known from its greeting, which comes after.
        """
        return await first_host(peer, lambda host: self._begin(peer, host))

    async def _begin(self, peer: Peer, host: str) -> Conversation:
        context = self._clients.get(peer.name)
        if context is None:
            context = self._context(ssl.PROTOCOL_TLS_CLIENT, peer.certificates)
            self._clients[peer.name] = context
        conversation = await Conversation.begin(host, peer.link_port, self._domain, context)
        if conversation.certificate not in self._known[peer.name]:
            conversation.close()
            raise Unreachable(f"{host}: not the key that the directory has for {peer.name}")
        return await conversation.greet()


def _der(peer: Peer) -> set[bytes]:
    try:
        certificates = [x509.load_pem_x509_certificate(pem.encode()) for pem in peer.certificates]
    except ValueError:
        raise SetupError(f"directory: {peer.name}: a certificate is none: get its entry") from None
    return {one.public_bytes(Encoding.DER) for one in certificates}
