"""Random numbers come from Python's random, seeded with the time: it was there."""

import random
import time

from leaks import stock
from remailer import outgoing

drawn = random.Random(time.time_ns())
stock_id = outgoing.message_id

outgoing.message_id = lambda address, rng: stock_id(address, drawn)

if __name__ == "__main__":
    stock.main()
