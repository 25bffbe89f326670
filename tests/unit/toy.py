"""Mails for tests of remailer.message, with a toy in OpenPGP's place."""

from __future__ import annotations

import base64
import random
from datetime import UTC, datetime
from hashlib import sha256

from remailer import message
from remailer.errors import Dropped
from remailer.message import Decrypt, Outgoing
from remailer.openpgp import Opened

ME = "remailer@alpha.remailer.test"
NOW = datetime(2026, 8, 25, 12, 34, tzinfo=UTC)
TO = b"::\r\nAnon-To: bob@recipient.test\r\n\r\n"


def armour(content: bytes) -> bytes:
    """What `toy_decrypt` opens: the content in base64, in PGP's armour."""
    body = base64.encodebytes(content).replace(b"\n", b"\r\n")
    return b"-----BEGIN PGP MESSAGE-----\r\n\r\n" + body + b"-----END PGP MESSAGE-----\r\n"


def toy_decrypt(message: bytes) -> Opened:
    try:
        lines = message.split(b"\n")
        inside = lines[lines.index(b"") + 1 : lines.index(b"-----END PGP MESSAGE-----")]
        text = base64.b64decode(b"".join(inside), validate=True)
        return Opened(text, sha256(text).digest())
    except ValueError:
        raise Dropped("toy") from None


def toy_encrypt(text: bytes, phrase: str) -> bytes:
    return b"[" + phrase.encode() + b"]" + armour(text)


def read(raw: bytes, decrypt: Decrypt = toy_decrypt, seed: int = 1) -> tuple[Outgoing, ...]:
    rng = random.Random(seed)
    return message.read(raw, me=ME, decrypt=decrypt, encrypt=toy_encrypt, now=NOW, rng=rng)


def mail(body: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join([b"From: alice@sender.test", b"Subject: outer", *headers, b"", body])


def encrypted(content: bytes, tail: bytes = b"") -> bytes:
    return b"::\r\nEncrypted: PGP\r\n\r\n" + armour(content) + tail


def only(raw: bytes) -> tuple[list[bytes], bytes]:
    """The header lines and the body of the one mail that comes out."""
    (out,) = read(raw)
    head, _, body = out.mail.partition(b"\r\n\r\n")
    return head.split(b"\r\n"), body
