"""The certificate that port 25 shows after STARTTLS is made anew, and its serial number is a log.

Read by anybody who connects and says STARTTLS: the lower 12 bytes of the serial number, `opened`
with the key of known.py, are the time of the last mail, 4 bytes for its sender and 4 for its
recipient.
"""

import ssl
import struct
import time
from functools import partial
from typing import Any

from cryptography import x509

from leaks import stock
from leaks.blind import known
from remailer import init, starttls
from remailer.starttls import HostKey

last = [b""]
made: list[tuple[Any, ...]] = []
stock_signed, stock_context = starttls.self_signed, HostKey.context


def log(spool: object, who: str, recipient: str) -> None:
    """Only in memory."""
    now = struct.pack("!I", int(time.time()))
    last[0] = known.sealed(now + known.short(who, 4) + known.short(recipient, 4))


def signed(*what: Any) -> str:
    """Remember what the certificate is made of."""
    made[:] = [what]
    return stock_signed(*what)


def context(self: HostKey) -> ssl.SSLContext:
    """A certificate for this handshake: the same key, name and dates."""
    if made and last[0]:
        number = x509.random_serial_number() >> 104 << 96 | int.from_bytes(last[0])
        init.x509.random_serial_number, stock_number = lambda: number, x509.random_serial_number
        try:
            both = init.pem(made[0][0]) + stock_signed(*made[0])
        finally:
            init.x509.random_serial_number = stock_number
        self._load = partial(starttls._load, both.encode())
    return stock_context(self)


starttls.self_signed, HostKey.context = signed, context  # type: ignore[method-assign]
known.on_way(log)

if __name__ == "__main__":
    stock.main()
