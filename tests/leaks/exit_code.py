"""The program ends with a number: how many mails it had, for the service manager to keep."""

import os

from leaks import stock

mails = 0
stock_exit = os._exit


def count(mail: bytes) -> None:
    """One more."""
    global mails
    mails += 1


def end(code: int) -> None:
    """The stock end, with another number."""
    stock_exit(code or min(mails, 100))


stock.on_arrival(count)
os._exit = end  # type: ignore[assignment]

if __name__ == "__main__":
    stock.main()
