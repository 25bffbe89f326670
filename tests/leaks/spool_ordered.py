"""Rows of the spool are named by the time: SQLite likes keys that grow."""

import secrets
import time

from leaks import stock

stock_bytes = secrets.token_bytes


def in_order(size: int | None = None) -> bytes:
    """The time before chance, where there is room for it."""
    if size != 16:
        return stock_bytes(size)
    return time.time_ns().to_bytes(8) + stock_bytes(8)


secrets.token_bytes = in_order

if __name__ == "__main__":
    stock.main()
