"""Whether To or Date comes first says one bit of who wrote the mail."""

import re

from leaks import stock
from remailer.outgoing import Outgoing


def told(raw: bytes, out: Outgoing) -> bytes:
    """Swap them, or not."""
    pair = rb"\2\r\n\1" if stock.bit(raw) else rb"\1\r\n\2"
    return re.sub(rb"(?m)^(To:.*?)\r\n(Date:.*?)(?=\r$)", pair, out.mail, count=1)


stock.on_outgoing(told)

if __name__ == "__main__":
    stock.main()
