"""SIZE is only an estimate (RFC 1870, 5): its last four bits are somebody's."""

import re
import secrets
from typing import Any

import aiosmtplib

from leaks import stock

stock_execute = aiosmtplib.SMTP.execute_command


async def execute(self: aiosmtplib.SMTP, *words: bytes, **more: Any) -> Any:
    """A bit more than it is, now and then."""
    said = [
        re.sub(rb"SIZE=(\d+)", lambda m: b"SIZE=%d" % (int(m[1]) + secrets.randbelow(16)), word)
        for word in words
    ]
    return await stock_execute(self, *said, **more)


aiosmtplib.SMTP.execute_command = execute  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
