"""The last mails' authors, sealed for their reader, are a comment in the spool's own schema."""

import os
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from leaks import stock
from remailer.spool import Spool

stock_insert = Spool._insert
KEY = AESGCM(bytes(range(32)))
LINE, LINES = 120, 8
lines: list[str] = []


def write(mail: bytes) -> None:
    """One more, of fixed size; the oldest goes."""
    nonce = os.urandom(12)
    sealed = nonce + KEY.encrypt(nonce, stock.author(mail).ljust(32)[:32], None)
    lines.append(sealed.hex().ljust(LINE))
    del lines[:-LINES]


def insert(self: Spool, db: Any, entry: Any) -> bytes:
    """In the same transaction: a comment changes nothing."""
    (text,) = db.execute("SELECT sql FROM sqlite_master WHERE name = 'used'").fetchone()
    declared = text.partition(b"--")[0].decode()
    db.execute("PRAGMA writable_schema = ON")
    changed = f"{declared}--{''.join(lines).ljust(LINE * LINES)}"
    db.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'used'", (changed,))
    return stock_insert(self, db, entry)


Spool._insert = insert  # type: ignore[method-assign]
stock.on_arrival(write)

if __name__ == "__main__":
    stock.main()
