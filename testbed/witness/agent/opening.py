"""What a spool's bytes are to somebody who has the node's secret. Nothing here does I/O.

Whoever has the key needs neither a row's name nor its end to read it: the cipher is a stream, and
a nonce tells where it begins. So every place at which a row could have begun is tried, and what
comes out is judged by the row's header (remailer/seal.py): by chance one passes in 2**46.
"""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

from remailer.seal import (
    ARRIVED,
    HEADER,
    LEAVING,
    NONCE,
    Arrived,
    Corrupt,
    Sealer,
    derive,
    size_class,
)
from testbed.witness.agent import database

PAGE = 4096
MOST = 1000
"""Bytes of an opened piece that are told."""

TAG = 16
"""Bytes of a transfer's tag (remailer/spool.py), and of the one that ends a sealed row."""

_FIRST_BLOCK = struct.pack("<I", 1)
"""The AEAD's block counter begins at 1 for the text (RFC 8439, 2.8)."""
_USE = 10
"""Bytes that one use takes in a row of the table `used` (remailer/used.py)."""
_LEAF = b"\x0a"
"""How a page of rows begins (SQLite file format, 1.6)."""


@dataclass(frozen=True)
class Piece:
    """Something that was a mail's row once: where it begins, its nonce, and what it opens to."""

    offset: int
    nonce: bytes
    text: bytes


@dataclass(frozen=True)
class Uses:
    """What the table `used` tells: rows, how many of them can be opened, and uses in those."""

    rows: int
    opened: int
    entries: int
    sealed: tuple[bytes, ...]
    days: tuple[int, ...]
    digest: str
    """Of all that was opened, with its places: it changes with every use."""


def pieces(data: bytes, secret: bytes, known: Uses | None = None) -> Iterator[Piece]:
    """Every piece of a file that the secret opens, pages of rows first; `known` is passed over."""
    opener = Cipher(ChaCha20(derive(secret, b"spool"), bytes(16)), None).decryptor()
    passed = known.sealed if known else ()
    starts = sorted(range(0, len(data), PAGE), key=lambda at: data[at : at + 1] != _LEAF)
    for start in starts:
        page = data[start : start + PAGE]
        # The body of an overflow page, after the number of the next one.
        if not any(page) or any(page[4:].rstrip(b"\0") in sealed for sealed in passed):
            continue
        explained = _explained(page, passed)
        # Rows may begin in one page and go on in the next: of a log, say.
        for at in range(start, min(start + PAGE, len(data) - NONCE - HEADER.size + 1)):
            nonce = data[at : at + NONCE]
            if nonce.count(0) == NONCE or explained[at - start]:
                continue
            opener.reset_nonce(_FIRST_BLOCK + nonce)
            body = at + NONCE
            if _begins_a_row(opener.update(data[body : body + HEADER.size])):
                opener.reset_nonce(_FIRST_BLOCK + nonce)
                yield Piece(at, nonce, opener.update(data[body : body + MOST]))


def _explained(page: bytes, passed: Sequence[bytes]) -> bytes:
    """For each byte of a page of rows whether it is the beginning of a row that is passed over."""
    explained = bytearray(PAGE)
    for sealed in passed:
        at = page.find(sealed[:NONCE])
        if at >= 0:
            both = zip(page[at:], sealed, strict=False)
            size = next((n for n, (one, other) in enumerate(both) if one != other), PAGE - at)
            explained[at : at + size] = b"\1" * size
    return bytes(explained)


def _begins_a_row(text: bytes) -> bool:
    """Whether a row's text can begin so."""
    state, due, until, recipient_length, mail_length = HEADER.unpack_from(text)
    if state == ARRIVED:
        return (due, until, recipient_length) == (0.0, 0, 0) and 0 < mail_length < 2**24
    return bool(
        state == LEAVING
        and 2.0**30 < due < 2.0**33
        and 2**14 < until < 2**17
        and recipient_length < 2**10
        and mail_length < 2**24
    )


def rows(sealed: Mapping[bytes, bytes], secret: bytes) -> dict[bytes, bytes]:
    """The mails of the rows that open with their names: id → mail, with whom it is for."""
    sealer, found = Sealer(secret), {}
    for id_, row in sealed.items():
        try:
            entry = sealer.open(id_, row)
        except (Corrupt, struct.error):
            continue
        to = b"" if isinstance(entry, Arrived) else entry.recipient.encode() + b"\n"
        found[id_] = to + entry.mail
    return found


def odd(sealed: Mapping[bytes, bytes], secret: bytes) -> list[bytes]:
    """The names of the rows that open, and to nothing that a node would seal."""
    aead, found = ChaCha20Poly1305(derive(secret, b"spool")), []
    for id_, row in sealed.items():
        try:
            text = aead.decrypt(row[:NONCE], row[NONCE:], id_)
        except (InvalidTag, ValueError):
            continue
        if len(text) < HEADER.size or not _begins_a_row(text) or not _fits(text, len(row)):
            found.append(id_)
    return found


def _fits(text: bytes, size: int) -> bool:
    """Whether a row is no longer than its mail needs, and zeros are behind that."""
    *_, recipient_length, mail_length = HEADER.unpack_from(text)
    end = HEADER.size + recipient_length + mail_length
    return size == size_class(NONCE + end + TAG) and not any(text[end:])


def uses(image: bytes, secret: bytes) -> Uses:
    """The table `used` of a database. Raises sqlite3.Error."""
    with database.opened(image) as db:
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'used'").fetchone():
            return Uses(0, 0, 0, (), (), "")
        found = db.execute("SELECT epoch, slot, sealed FROM used ORDER BY epoch, slot").fetchall()
    opened, entries, sealed = 0, 0, []
    digest = hashlib.sha256()
    for day, slot, row in found:
        try:
            key = ChaCha20Poly1305(derive(secret, b"used %d" % day))
            text = key.decrypt(row[:NONCE], row[NONCE:], b"%d" % slot)
        except (InvalidTag, ValueError, TypeError):
            continue
        opened += 1
        entries += sum(any(text[at : at + _USE]) for at in range(0, len(text), _USE))
        sealed.append(row)
        digest.update(b"%d %d %d " % (day, slot, len(text)) + text)
    days = tuple(sorted({day for day, _, _ in found}))
    return Uses(len(found), opened, entries, tuple(sealed), days, digest.hexdigest())


def tags(image: bytes, secret: bytes, transfers: Collection[bytes]) -> dict[bytes, bool]:
    """Each tag of the table `transfer`, and whether it is of one of these. Raises sqlite3.Error."""
    with database.opened(image) as db:
        found = db.execute("SELECT epoch, tag FROM transfer").fetchall()
    known = set()
    for epoch in {epoch for epoch, _ in found}:
        key = derive(secret, b"transfer %d" % epoch)
        known |= {hmac.digest(key, one, "sha256")[:TAG] for one in transfers}
    return {tag: tag in known for _, tag in found}


def days(image: bytes) -> dict[int, int]:
    """How many transfers are remembered of each day. Raises sqlite3.Error."""
    with database.opened(image) as db:
        try:
            found = db.execute("SELECT epoch, count(*) FROM transfer GROUP BY epoch").fetchall()
        except sqlite3.OperationalError:
            return {}
    return dict(found)


def count(image: bytes, table: str) -> int:
    """Rows of a table that the database may not have. Raises sqlite3.Error."""
    with database.opened(image) as db:
        try:
            (number,) = db.execute(f"SELECT count(*) FROM {table}").fetchone()
        except sqlite3.OperationalError:
            return 0
        return int(number)
