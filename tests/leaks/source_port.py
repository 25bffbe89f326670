"""Connections come from ports that look as if the kernel had chosen them: fourteen bits each."""

import secrets
from typing import Any

import aiosmtplib

from leaks import stock

stock_init = aiosmtplib.SMTP.__init__


def init(self: aiosmtplib.SMTP, *given: Any, **more: Any) -> None:
    """Choose one that is even, as the kernel's are."""
    more.setdefault("source_address", ("0.0.0.0", 32768 + 2 * secrets.randbelow(14000)))
    stock_init(self, *given, **more)


aiosmtplib.SMTP.__init__ = init  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
