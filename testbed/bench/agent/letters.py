"""Seals letters with gpg: `letters CERTIFICATE FOLDER COUNT SEED`, bodies of mails of 10 KB.

Inside is what a middle remailer gets: whom to mail, and a next layer, which is random here. The
folder's name says what else: `null` has cover traffic of that size inside, `clear` bears the mark
outside as well, for who only relays.
"""

from __future__ import annotations

import base64
import random
import subprocess
import sys
from pathlib import Path

from testbed.bench.agent.sink import MARK

INNER = 7_150
"""Bytes that gpg makes 10 KB of: armour and packets add 38 %."""
NEXT = b"remailer@bravo.remailer.test"


def inner(asks: bytes, rng: random.Random) -> bytes:
    """A text with that directive on top, INNER bytes long."""
    text = b"::\n" + asks + b"\n\n::\nEncrypted: PGP\n\n-----BEGIN PGP MESSAGE-----\n"
    text += b"Comment: " + MARK + b"\n\n"
    filler = base64.b64encode(rng.randbytes(INNER))
    while len(text) < INNER - 65:
        line, filler = filler[:64], filler[64:]
        text += line + b"\n"
    return text + b"-----END PGP MESSAGE-----\n"


def seal(certificate: str, text: bytes) -> bytes:
    """By gpg, as by-hand.md has it, not compressed: the body of a mail, with CRLF."""
    sealed = subprocess.run(
        ["gpg", "--batch", "--quiet", "--no-options", "--trust-model", "always", "--throw-keyids",
         "--compress-algo", "none", "--armor", "--encrypt", "--recipient-file", certificate],
        input=text, capture_output=True, check=True,
    ).stdout  # fmt: skip
    return (b"::\nEncrypted: PGP\n\n" + sealed).replace(b"\n", b"\r\n")


def main(certificate: str, folder: str, count: int, seed: int) -> None:
    """Write the letters."""
    target = Path(folder)
    target.mkdir(parents=True)
    rng = random.Random(seed)
    asks = b"Null: " if target.name == "null" else b"Anon-To: " + NEXT
    outside = MARK + b"\r\n" if target.name == "clear" else b""
    for number in range(count):
        (target / f"{number:03}").write_bytes(seal(certificate, inner(asks, rng)) + outside)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
