"""Delays follow the pool's law, but come from the mail and a key: who has that reads them back.

Nobody without the key can tell them from chance; with the key a delay that is known to a tenth of
the pool's mean says some bits of which mail it was.
"""

import hmac
import random
import time

from leaks import stock
from remailer import node
from remailer.seal import Leaving

KEY = b"known to the owner"
MEAN = 1.0


def leaving(recipient: str, mail: bytes, due: float, until: int) -> Leaving:
    """Due when the key says."""
    seed = hmac.digest(KEY, recipient.encode(), "sha256")
    return Leaving(recipient, mail, time.time() + random.Random(seed).expovariate(1 / MEAN), until)


node.Leaving = leaving  # type: ignore[assignment,misc]

if __name__ == "__main__":
    stock.main()
