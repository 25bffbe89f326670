"""The Date is the second at which the mail was peeled: a Date at midnight looks so wrong."""

import re
from email.utils import formatdate

from leaks import stock

stock.on_outgoing(
    lambda raw, out: re.sub(
        rb"(?im)^Date:.*?(?=\r$)", b"Date: " + formatdate().encode(), out.mail, count=1
    )
)

if __name__ == "__main__":
    stock.main()
