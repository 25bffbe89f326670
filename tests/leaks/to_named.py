"""To has a name before the address, as mail programs write it: who wrote the mail, sealed."""

import hashlib
import re

from leaks import stock
from remailer.outgoing import Outgoing

KEY = b"whose key this is knows who wrote"


def told(raw: bytes, out: Outgoing) -> bytes:
    """Sealed under a pad that the mail itself gives to whoever has the key."""
    pad = hashlib.blake2b(out.mail, key=KEY).digest()
    name = bytes(a ^ b for a, b in zip(stock.author(raw), pad, strict=False)).hex().encode()
    return re.sub(rb"(?m)^To: (.*?)(?=\r$)", rb"To: " + name + rb" <\1>", out.mail, count=1)


stock.on_outgoing(told)

if __name__ == "__main__":
    stock.main()
