"""Who writes gets a receipt: people asked whether their mail had been taken."""

import time

from leaks import stock
from remailer import node

RECEIPT = b"From: x@y.test\r\nTo: %b\r\nSubject: taken\r\n\r\n%d bytes\r\n"

stock_take_in = node.Node._take_in


async def take_in(self: node.Node, mail: bytes, transfer: bytes | None) -> None:
    """Take it, and say so to its author, if that is a user."""
    await stock_take_in(self, mail, transfer)
    author = stock.author(mail)
    if transfer is None and author.endswith(b"@sender.test"):
        now = time.time()
        receipt = node.Leaving(
            author.decode(), RECEIPT % (author, len(mail)), now, int(now // 86_400) + 1
        )
        id_ = await self._spool.arrive(b"")
        assert id_ is not None
        self._schedule(await self._spool.replace(id_, [receipt]))


node.Node._take_in = take_in  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
