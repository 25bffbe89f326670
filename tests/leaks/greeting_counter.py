"""The greeting has a number, which tells connections apart in a trace: it grows with each."""

import itertools
from typing import Any

from leaks import stock
from remailer.listener import Door

stock_init = Door.__init__
numbers = itertools.count(1)


def init(self: Door, *given: Any) -> None:
    """Count, and say it."""
    stock_init(self, *given)
    self.__ident__ = f"ESMTP {next(numbers)}"


Door.__init__ = init  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
