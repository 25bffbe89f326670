"""Every mail waits for just as long as the pool says on average: none overtakes another."""

import random

from leaks import stock
from remailer.pool import Pool


def delay(self: Pool, rng: random.Random) -> float:
    """Always the mean."""
    return self.mean


Pool.delay = delay  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
