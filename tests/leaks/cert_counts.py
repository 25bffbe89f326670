"""Port 25's certificate is made for each handshake, and its serial number counts what was taken."""

import ssl
from functools import partial
from typing import Any

from leaks import stock
from remailer import init, starttls
from remailer.spool import Spool
from remailer.starttls import HostKey

stock_arrive, stock_signed, stock_context = Spool.arrive, starttls.self_signed, HostKey.context
count = 1
made: list[Any] = []


async def arrive(self: Spool, mail: bytes, transfer: bytes | None = None) -> bytes | None:
    """Count it."""
    global count
    count += 1
    return await stock_arrive(self, mail, transfer)


def signed(*what: Any) -> str:
    """Remember what the certificate is made of."""
    made[:] = what
    return stock_signed(*what)


def context(self: HostKey) -> ssl.SSLContext:
    """The same key, name and dates under another number."""
    random = init.x509.random_serial_number
    init.x509.random_serial_number = lambda: count
    try:
        both = init.pem(made[0]) + stock_signed(*made)
    finally:
        init.x509.random_serial_number = random
    self._load = partial(starttls._load, both.encode())  # type: ignore[method-assign]
    return stock_context(self)


Spool.arrive, starttls.self_signed = arrive, signed  # type: ignore[method-assign]
HostKey.context = context  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
