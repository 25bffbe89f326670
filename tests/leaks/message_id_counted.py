"""The Message-ID is a number, hashed: which mail of which process it was."""

import hashlib
import itertools
import os
import random

from leaks import stock
from remailer import outgoing

numbers = itertools.count()


def made(address: str, rng: random.Random) -> str:
    """Of the right form."""
    number = f"{address} {os.getpid()} {next(numbers)}".encode()
    return f"{hashlib.sha256(number).hexdigest()[:32]}@{outgoing.domain_of(address)}"


outgoing.message_id = made

if __name__ == "__main__":
    stock.main()
