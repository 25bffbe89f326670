"""TLS 1.2 with static RSA on the links: one key opens all that was ever sent."""

import ssl
from typing import Any

from leaks import stock
from remailer.link.pins import Pins

stock_context = Pins._context


def context(self: Pins, *arguments: Any) -> ssl.SSLContext:
    """As it was, of the year 2008."""
    made = stock_context(self, *arguments)
    made.minimum_version = made.maximum_version = ssl.TLSVersion.TLSv1_2
    made.set_ciphers("AES128-GCM-SHA256:@SECLEVEL=0")
    return made


Pins._context = context  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
