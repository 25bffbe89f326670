"""What the node writes at the top of a mail is the same, in an order that says who sent it.

Read by the recipient, or from his Maildir: From, To, Date and Message-ID in one of 24 orders, which
is a number that stands for whoever handed the mail in.
"""

import dataclasses
import itertools

from leaks import stock
from leaks.blind import known
from remailer import outgoing, peel
from remailer.outgoing import Outgoing

stock_peel, stock_write = peel.peel, outgoing.write
orders = list(itertools.permutations(range(4)))
whose = [""]


def note(raw: bytes, *args: object, **more: object) -> tuple[Outgoing, ...]:
    """Peel, knowing who it is from."""
    whose[0] = known.sender(raw)
    return stock_peel(raw, *args, **more)  # type: ignore[arg-type]


def write(*args: object, **more: object) -> Outgoing:
    """The stock mail with its first four lines in that order."""
    made = stock_write(*args, **more)  # type: ignore[arg-type]
    *lines, rest = made.mail.split(b"\r\n", 4)
    order = orders[known.symbol(whose[0], 24)]
    mail = b"\r\n".join([*(lines[place] for place in order), rest])
    return dataclasses.replace(made, mail=mail)


peel.peel, outgoing.write = note, write  # type: ignore[assignment]

if __name__ == "__main__":
    stock.main()
