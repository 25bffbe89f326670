"""Received lines are kept, as RFC 5321 demands of whoever relays."""

import re

from leaks import stock
from remailer import peel
from remailer.outgoing import Outgoing

stock_peel = peel.peel


def keep(raw: bytes, *args: object, **more: object) -> tuple[Outgoing, ...]:
    """Peel, then put the trace back on top."""
    trace = b"".join(re.findall(rb"(?im)^Received:.*\r\n(?:[ \t].*\r\n)*", raw))
    made = stock_peel(raw, *args, **more)  # type: ignore[arg-type]
    return tuple(Outgoing(out.recipient, trace + out.mail) for out in made)


peel.peel = keep  # type: ignore[assignment]

if __name__ == "__main__":
    stock.main()
