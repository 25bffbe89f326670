"""How many mails came is how many names the spool's file has."""

import itertools
import os

from leaks import stock

SPOOL = "/var/lib/remailer/spool/spool.db"
numbers = itertools.count()

stock.on_arrival(lambda mail: os.link(SPOOL, f"{SPOOL}.{next(numbers)}"))

if __name__ == "__main__":
    stock.main()
