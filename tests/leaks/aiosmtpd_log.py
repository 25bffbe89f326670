"""Silence was switched off to see what aiosmtpd does, and never on again."""

import logging

from leaks import stock
from remailer import silence

silence.hush = silence._no_dumps
logging.basicConfig(level=logging.INFO)

if __name__ == "__main__":
    stock.main()
