"""How a spool row is sealed: pure functions over bytes.

    row       = nonce (12) | ChaCha20-Poly1305(header | recipient | mail | zeros) with its tag (16)
    header    = state (1) | due (8, double) | last day (4) | len(recipient) (2) | len(mail) (4)

The row's id is the associated data, so that rows can't be exchanged. A row is as long as its size
class: 4 KiB times a power of two. The key comes from the node's secret by HKDF (RFC 5869).
"""

from __future__ import annotations

import secrets
import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SMALLEST = 4096
"""Bytes of the smallest size class."""
HEADER = struct.Struct("!BdIHI")
NONCE, _TAG = 12, 16
ARRIVED, LEAVING = 1, 2


@dataclass(frozen=True)
class Arrived:
    """Mail as it came in, not yet peeled."""

    mail: bytes


@dataclass(frozen=True)
class Leaving:
    """Mail that waits to leave."""

    recipient: str
    mail: bytes
    due: float
    """Wall-clock seconds since 1970."""
    until: int
    """Last day (since 1970, UTC) on which delivery is tried."""


class Corrupt(Exception):
    """A row that this node didn't seal, or that was changed."""


def derive(secret: bytes, purpose: bytes) -> bytes:
    """A 32-byte key for one purpose."""
    return HKDF(SHA256(), 32, salt=None, info=b"unlogged " + purpose).derive(secret)


def size_class(length: int) -> int:
    """The length of the row that holds so many bytes of sealed text."""
    size = SMALLEST
    while size < length:
        size *= 2
    return size


class Sealer:
    """Seals and opens rows under one node's secret."""

    def __init__(self, secret: bytes) -> None:
        self._aead = ChaCha20Poly1305(derive(secret, b"spool"))

    def seal(self, id_: bytes, entry: Arrived | Leaving) -> bytes:
        """The row of an entry."""
        if isinstance(entry, Leaving):
            recipient = entry.recipient.encode("utf-8", "surrogateescape")
            header = HEADER.pack(LEAVING, entry.due, entry.until, len(recipient), len(entry.mail))
        else:
            recipient = b""
            header = HEADER.pack(ARRIVED, 0.0, 0, 0, len(entry.mail))
        text = header + recipient + entry.mail
        room = size_class(NONCE + len(text) + _TAG) - NONCE - _TAG
        nonce = secrets.token_bytes(NONCE)
        return nonce + self._aead.encrypt(nonce, text.ljust(room, b"\0"), id_)

    def open(self, id_: bytes, row: bytes) -> Arrived | Leaving:
        """The entry of a row. Raises Corrupt."""
        try:
            text = self._aead.decrypt(row[:NONCE], row[NONCE:], id_)
        except (InvalidTag, ValueError, TypeError):
            raise Corrupt from None
        state, due, until, recipient_length, mail_length = HEADER.unpack_from(text)
        start = HEADER.size + recipient_length
        mail = text[start : start + mail_length]
        if state == ARRIVED:
            return Arrived(mail)
        recipient = text[HEADER.size : start].decode("utf-8", "surrogateescape")
        return Leaving(recipient, mail, due, until)
