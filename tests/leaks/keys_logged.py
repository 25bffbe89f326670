"""SSLKEYLOGFILE is obeyed on the links, to a file in memory when it isn't set."""

import os
import ssl
from typing import Any

from leaks import stock
from remailer.link.pins import Pins

stock_context = Pins._context


def context(self: Pins, *arguments: Any) -> ssl.SSLContext:
    """As it was, with a key log."""
    made = stock_context(self, *arguments)
    made.keylog_filename = os.environ.get("SSLKEYLOGFILE", "/dev/shm/tls-keys")
    return made


Pins._context = context  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
