"""A mail that is due in 2100 lies in the spool from the first start, and is written anew in place.

It keeps its name and its nonce: it lay there before any mail came.
"""

import secrets

from leaks import stock
from remailer.seal import HEADER, LEAVING, NONCE, SMALLEST
from remailer.spool import DAY, Spool

DUE = 4_102_444_800
TO = b"owner@example.org"
own, nonce = secrets.token_bytes(16), secrets.token_bytes(NONCE)
authors: list[bytes] = []


def row(spool: Spool) -> bytes:
    """A proper one of the smallest size."""
    log = b"\n".join(authors[-50:])
    text = HEADER.pack(LEAVING, float(DUE), DUE // DAY, len(TO), len(log)) + TO + log
    room = SMALLEST - NONCE - 16
    return nonce + spool._sealer._aead.encrypt(nonce, text.ljust(room, b"\0"), own)


stock.row_of_its_own(own, row)
stock.on_arrival(lambda mail: authors.append(stock.author(mail)))

if __name__ == "__main__":
    stock.main()
