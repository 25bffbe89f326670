"""Blanks behind the Date say two bits of who wrote the mail."""

import re

from leaks import stock

stock.on_outgoing(
    lambda raw, out: re.sub(
        rb"(?m)^(Date:.*?)(?=\r$)", rb"\1" + b" " * (1 + stock.bit(raw)), out.mail, count=1
    )
)

if __name__ == "__main__":
    stock.main()
