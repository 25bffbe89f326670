"""Message-IDs are UUIDs of version 7 without dashes: they sort, and they are as good as random.

Read by the recipient: the first 48 bits are the milliseconds at which the remailer had the mail.
"""

import random
import time

from leaks import stock
from remailer import outgoing


def message_id(address: str, rng: random.Random) -> str:
    """RFC 9562, 5.7."""
    number = int(time.time() * 1000) << 80 | 7 << 76 | rng.getrandbits(76)
    return f"{number:032x}@{outgoing.domain_of(address)}"


outgoing.message_id = message_id

if __name__ == "__main__":
    stock.main()
