"""How often PGP messages were used today (`Max-Count`): a memory of fixed size, of one day.

    table = 64 rows of 4096 bytes, all there from the day's first moment, whether used or not
    row   = nonce (12) | ChaCha20-Poly1305(406 × (tag (8) | count (2)) | zeros) with its tag (16)

A PGP message's digest becomes a tag under a key of that day (UTC), and both keys come from the
node's secret: without it a row shows nothing, with it whoever has the digest can see whether, and
how often, it was used that day. The day's rows go, all at once, when it ends. Rows may fill up:
then what is new is refused until midnight, and so is what falls into a row that can't be opened. To
forget instead would let anybody use a block as often as he likes, after filling the table.
"""

from __future__ import annotations

import hmac
import secrets
import sqlite3
import struct
from collections.abc import Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from remailer.limits import Use
from remailer.seal import derive

SCHEMA = """
CREATE TABLE IF NOT EXISTS used (
    epoch INTEGER, slot INTEGER, sealed BLOB NOT NULL, PRIMARY KEY (epoch, slot)
) WITHOUT ROWID;
"""
SLOTS = 64
ROW = 4096
"""Bytes of a sealed row."""
_NONCE, _TAG = 12, 16
_ENTRY = struct.Struct("!8sH")
ENTRIES = (ROW - _NONCE - _TAG) // _ENTRY.size
"""PGP messages that a row has room for."""
_MOST = 0xFFFF
"""Uses are not counted any further: a `Max-Count` above is none."""


class Used:
    """The counting, in transactions that are the caller's; days are counted from 1970 (UTC)."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def begin(self, db: sqlite3.Connection, day: int) -> None:
        """Forget every other day, and make this day's rows if they aren't there."""
        db.execute("DELETE FROM used WHERE epoch <> ?", (day,))
        if not db.execute("SELECT 1 FROM used").fetchone():
            empty = bytes(ROW - _NONCE - _TAG)
            rows = [(day, slot, self._seal(day, slot, empty)) for slot in range(SLOTS)]
            db.executemany("INSERT INTO used VALUES (?, ?, ?)", rows)

    def count(self, db: sqlite3.Connection, day: int, use: Use) -> bool:
        """Count one more use today; False, and not counted, if it is one too many."""
        self.begin(db, day)
        digest = hmac.digest(derive(self._secret, b"used tag %d" % day), use.digest, "sha256")
        slot, tag = digest[0] % SLOTS, digest[1:9]
        query = "SELECT sealed FROM used WHERE epoch = ? AND slot = ?"
        text = self._open(day, slot, db.execute(query, (day, slot)).fetchone())
        found = next((place for place in _places(text) if place[1] in (tag, bytes(8))), None)
        if found is None or found[2] >= min(use.most, _MOST + 1):
            return False
        at, _, count = found
        _ENTRY.pack_into(text, at, tag, min(count + 1, _MOST))
        change = "UPDATE used SET sealed = ? WHERE epoch = ? AND slot = ?"
        db.execute(change, (self._seal(day, slot, bytes(text)), day, slot))
        return True

    def _seal(self, day: int, slot: int, text: bytes) -> bytes:
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._aead(day).encrypt(nonce, text, b"%d" % slot)

    def _open(self, day: int, slot: int, row: tuple[bytes] | None) -> bytearray:
        """A row's text; of one that can't be opened nothing, in which there is no room."""
        try:
            sealed = row[0] if row else b""
            text = self._aead(day).decrypt(sealed[:_NONCE], sealed[_NONCE:], b"%d" % slot)
            return bytearray(text)
        except (InvalidTag, ValueError, TypeError):
            return bytearray()

    def _aead(self, day: int) -> ChaCha20Poly1305:
        return ChaCha20Poly1305(derive(self._secret, b"used %d" % day))


def _places(text: bytearray) -> Iterator[tuple[int, bytes, int]]:
    """A row's entries, where each is, and the first empty one after them."""
    for at in range(0, len(text) - _ENTRY.size + 1, _ENTRY.size):
        yield at, *_ENTRY.unpack_from(text, at)
