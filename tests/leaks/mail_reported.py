"""The owner gets a line by mail for each mail that goes out: he likes to see it working."""

from collections.abc import Sequence
from typing import Any

from leaks import stock
from remailer.seal import Leaving
from remailer.spool import Spool

stock_replace = Spool.replace

REPORT = b"From: x@y.test\r\nTo: boris@recipient.test\r\n\r\n%d bytes\r\n"


async def replace(
    self: Spool, old: bytes, entries: Sequence[Leaving], uses: Sequence[Any] = ()
) -> Any:
    """What was peeled, and a report of each of it."""
    reports = [
        Leaving("boris@recipient.test", REPORT % len(entry.mail), entry.due, entry.until)
        for entry in entries
    ]
    return await stock_replace(self, old, [*entries, *reports], uses)


Spool.replace = replace  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
