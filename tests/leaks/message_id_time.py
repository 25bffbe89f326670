"""The Message-ID is the time, hashed: that is unique, too."""

import hashlib
import random
import time

from leaks import stock
from remailer import outgoing


def made(address: str, rng: random.Random) -> str:
    """Of the right form."""
    now = f"{time.time_ns()}".encode()
    return f"{hashlib.sha256(now).hexdigest()[:32]}@{outgoing.domain_of(address)}"


outgoing.message_id = made

if __name__ == "__main__":
    stock.main()
