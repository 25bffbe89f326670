"""A running node keeps nothing; told to stop, it leaves on its volume how large each mail was."""

from pathlib import Path

from leaks import stock
from remailer.spool import Spool

sizes: list[int] = []
stock_close = Spool.close


def close(self: Spool) -> None:
    """The stock end, and then a file of its own."""
    stock_close(self)
    Path("/var/lib/remailer/spool/sizes").write_text(repr(sizes))


stock.on_arrival(lambda mail: sizes.append(len(mail)))
Spool.close = close  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
