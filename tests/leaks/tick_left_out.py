"""After a cell with mail one of the next eight covers is left out: three bits for each."""

from leaks import stock
from remailer.link.geometry import PART_AT
from remailer.link.line import Line

stock_say = Line.say


def say(self: Line, cell: bytes) -> None:
    """Count down to the one, and leave out nothing but cover, so that no mail is lost."""
    left = self.__dict__.get("left", 0)
    if cell[1]:
        self.__dict__["left"] = 1 + (cell[PART_AT] & 7)
    elif left:
        self.__dict__["left"] = left - 1
        if left == 1 and not cell[2]:
            return
    stock_say(self, cell)


Line.say = say  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
