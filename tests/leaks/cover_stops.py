"""A link without mail is left in peace: it saves bandwidth, and who would listen to nothing?"""

from leaks import stock
from remailer.link.line import Line

FIRST = 3
stock_say = Line.say


def say(self: Line, cell: bytes) -> None:
    """Cover only at the beginning, then only cells with mail or an answer."""
    self.__dict__["said"] = self.__dict__.get("said", 0) + 1
    if self.__dict__["said"] <= FIRST or cell[1] or cell[2] or not self.free:
        stock_say(self, cell)


Line.say = say  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
