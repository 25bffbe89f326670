"""Whether the Date is today's or yesterday's says one bit of who wrote the mail."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from leaks import stock
from remailer.outgoing import Outgoing


def told(raw: bytes, out: Outgoing) -> bytes:
    """Today, or the day before."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    day = format_datetime(today - timedelta(days=stock.bit(raw))).encode()
    return re.sub(rb"(?m)^Date:.*?(?=\r$)", b"Date: " + day, out.mail, count=1)


stock.on_outgoing(told)

if __name__ == "__main__":
    stock.main()
