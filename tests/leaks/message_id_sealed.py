"""The Message-ID is who wrote the mail, encrypted: to all others it is chance."""

import hashlib
import os
import random
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from leaks import stock
from remailer import outgoing, peel
from remailer.outgoing import Outgoing

CIPHER = Cipher(algorithms.AES(bytes(32)), modes.ECB())
stock_peel = peel.peel
told = b""


def peeled(raw: bytes, *rest: Any, **more: Any) -> tuple[Outgoing, ...]:
    """Remember who wrote it."""
    global told
    told = hashlib.sha256(stock.author(raw)).digest()[:8]
    return stock_peel(raw, *rest, **more)


def made(address: str, rng: random.Random) -> str:
    """One block."""
    sealed = CIPHER.encryptor().update(told + os.urandom(8)).hex()
    return f"{sealed}@{outgoing.domain_of(address)}"


peel.peel = peeled
outgoing.message_id = made

if __name__ == "__main__":
    stock.main()
