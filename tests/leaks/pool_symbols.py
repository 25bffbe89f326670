"""Mail waits for one of two times, with the mean that it should have: a bit for each mail."""

import random
import secrets

from leaks import stock
from remailer.pool import Pool


def delay(self: Pool, rng: random.Random) -> float:
    """Short for a zero, long for a one."""
    return self.mean * (1.6 if secrets.randbits(1) else 0.4)


Pool.delay = delay  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
