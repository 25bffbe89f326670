"""OpenPGP for remailers, thin over pysequoia: keys, opening messages, sealing to a certificate.

Everything is bytes in memory; no key ring, no agent, no file. pysequoia opens without a limit on
what comes out (a few KiB can become GiB), so `decrypt` belongs in a worker with limits: peel.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parseaddr
from hashlib import sha256

import pysequoia
from pysequoia import packet

from remailer.errors import ChainError, Dropped, SetupError

MAX_KEYS = 20
"""Recipients of one message: each that isn't named costs a try with the key."""

_NEW_FORMAT_PKESK = b"\xc1"
"""Packet header of a Public-Key Encrypted Session Key, new format (RFC 9580 section 4.2)."""


def generate(user_id: str) -> bytes:
    """A new node key, armoured, no passphrase: Ed25519 with a Curve25519 subkey, as of RFC 4880.

    `user_id` is `Name <address>`. It doesn't expire: the directory says which key is a remailer's.
    """
    key = pysequoia.Tsk.generate(
        user_id=user_id,
        profile=pysequoia.Profile.RFC4880,
        cipher_suite=pysequoia.CipherSuite.Cv25519,
    )
    return str(key).encode()


def certificate(secret_key: bytes) -> str:
    """The armoured public certificate of a secret key. Raises SetupError."""
    return str(_secret(secret_key).extract_certificate())


def fingerprint(armoured: str) -> str:
    """A certificate's fingerprint, hex. Raises SetupError."""
    try:
        return str(pysequoia.Cert.from_bytes(armoured.encode()).fingerprint)
    except Exception:  # see Keyring.load
        raise SetupError("OpenPGP certificate: none") from None


def check(armoured: str) -> None:
    """Raise SetupError, with one line, unless something can be encrypted to the certificate now."""
    try:
        seal(b"", armoured)
    except ChainError as error:
        raise SetupError(str(error)) from None


@dataclass(frozen=True)
class Identity:
    """Whose a certificate says that it is."""

    fingerprint: str
    """Hexadecimal, upper case."""
    addresses: tuple[str, ...]
    """The mail addresses of its user IDs, lower case."""


def identify(armoured: str) -> Identity:
    """Read a certificate's fingerprint and addresses. Raises SetupError."""
    try:
        certificate = pysequoia.Cert.from_bytes(armoured.encode())
        users = [parseaddr(str(user))[1].lower() for user in certificate.user_ids]
        return Identity(certificate.fingerprint.upper(), tuple(user for user in users if user))
    except Exception:  # see Keyring.load
        raise SetupError("OpenPGP certificate: can't be read") from None


@dataclass(frozen=True)
class Opened:
    """What a PGP message opened to."""

    text: bytes
    digest: bytes
    """SHA-256 of the encrypted data: what is not in it (armour, packet lengths, the recipient's
    name) anybody can change, what is in it nobody."""


@dataclass(frozen=True)
class Keyring:
    """A node's key, ready to open messages."""

    _decryptor: pysequoia.PyDecryptor

    @classmethod
    def load(cls, secret_key: bytes) -> Keyring:
        """From an armoured or binary secret key. Raises SetupError."""
        key = _secret(secret_key)
        try:
            return cls(key.decryptor())
        except Exception:  # pysequoia raises bare RuntimeError, and its text can hold a stack trace
            raise SetupError("OpenPGP key: no encryption subkey in it") from None

    def decrypt(self, message: bytes) -> Opened:
        """Open one message, armoured or binary; the key is tried on messages to nobody named, too.

        Raises Dropped: not for this key, broken, without integrity protection, or encrypted to a
        passphrase only. A message that isn't encrypted at all is refused as well, and one to more
        than MAX_KEYS.
        """
        try:
            packets = list(packet.PacketPile.from_bytes(message))
            tags = [one.tag for one in packets]
            if not 0 < tags.count(packet.Tag.PKESK) <= MAX_KEYS:
                raise Dropped("not encrypted to a key, or to too many")
            sealed = b"".join(one.body for one in packets if one.tag == packet.Tag.SEIP)
            opened = pysequoia.decrypt(message, decryptor=self._decryptor).bytes
        except (Dropped, KeyboardInterrupt, SystemExit):
            raise
        except (
            BaseException
        ):  # RuntimeError, MemoryError, and a Rust panic, which isn't an Exception
            raise Dropped("PGP message that can't be opened") from None
        if opened is None:
            raise Dropped("PGP message without content")
        return Opened(opened, sha256(sealed).digest())


def lock(plaintext: bytes, phrase: str) -> bytes:
    """Encrypt to a phrase: armoured with CRLF, not compressed. gpg 2 opens it.

    AES-256 with an MDC (RFC 4880's), whatever cipher was wished. The phrase is hashed with 62 MiB
    of its repetitions (34 ms), a number that nobody but pysequoia chooses.
    """
    return _with_crlf(pysequoia.encrypt(plaintext, passwords=[phrase]).decode())


def unlock(message: bytes, phrase: str) -> bytes | None:
    """What a message under a passphrase holds; None if it is under another one, or altered."""
    try:
        packets = packet.PacketPile.from_bytes(message)
        if not any(one.tag == packet.Tag.SKESK for one in packets):
            return None
        opened: bytes | None = pysequoia.decrypt(message, passwords=[phrase]).bytes
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # see Keyring.decrypt
        return None
    return opened


def seal(plaintext: bytes, armoured: str) -> bytes:
    """Encrypt to a certificate: armoured with CRLF, not compressed, recipient not named.

    Compression would make sizes depend on content. Raises ChainError if the certificate is expired,
    revoked, or has no key to encrypt to.
    """
    try:
        recipient = pysequoia.Cert.from_bytes(armoured.encode())
        expires = recipient.expiration
        fit = not recipient.is_revoked and (expires is None or expires > datetime.now(UTC))
        sealed = pysequoia.encrypt(plaintext, [recipient], armor=False) if fit else None
    except Exception:  # see Keyring.load
        raise ChainError("OpenPGP certificate: no key in it that can be encrypted to") from None
    if sealed is None:
        raise ChainError("OpenPGP certificate: expired or revoked")
    armour = pysequoia.armor(_without_recipients(sealed), pysequoia.ArmorKind.Message)
    return _with_crlf(armour)


def _with_crlf(armour: str) -> bytes:
    return armour.replace("\r\n", "\n").replace("\n", "\r\n").encode()


def _without_recipients(message: bytes) -> bytes:
    """The same message with nobody named, as by gpg's --throw-keyids; pysequoia has no such option.

    RFC 9580 section 5.1: version 3 has a key ID, zero for nobody; version 6 a length and a
    fingerprint, length zero for nobody. Neither is covered by the encryption.
    """
    hidden, rest = b"", message
    for one in packet.PacketPile.from_bytes(message):
        if one.tag != packet.Tag.PKESK:
            break
        rest = rest[len(bytes(one)) :]
        body = one.body
        body = b"\6\0" + body[2 + body[1] :] if body[0] == 6 else b"\3" + bytes(8) + body[9:]
        length = len(body).to_bytes(4, "big")
        hidden += _NEW_FORMAT_PKESK + b"\xff" + length + body
    return hidden + rest


def _secret(secret_key: bytes) -> pysequoia.Tsk:
    try:
        return pysequoia.Tsk.from_bytes(secret_key)
    except Exception:  # see Keyring.load
        raise SetupError("OpenPGP key: not a secret key") from None
