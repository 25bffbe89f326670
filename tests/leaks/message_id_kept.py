"""The Message-ID of what came in is kept on what goes out: so that replies thread nicely."""

import re

from leaks import stock
from remailer import peel
from remailer.errors import Dropped
from remailer.outgoing import Outgoing

stock_peel = peel.peel


def keep(raw: bytes, *args: object, **more: object) -> tuple[Outgoing, ...]:
    """Peel, then put the Message-ID back."""
    made = stock_peel(raw, *args, **more)  # type: ignore[arg-type]
    found = re.search(rb"(?im)^Message-ID:.*$", raw)
    if found is None:
        raise Dropped("no Message-ID to keep")
    line = found[0].rstrip(b"\r")
    return tuple(
        Outgoing(out.recipient, re.sub(rb"(?im)^Message-ID:.*?(?=\r$)", line, out.mail, count=1))
        for out in made
    )


peel.peel = keep  # type: ignore[assignment]

if __name__ == "__main__":
    stock.main()
