"""The Date of what came in is kept on what goes out: when it was written is no secret?"""

import re

from leaks import stock
from remailer.outgoing import Outgoing


def keep(raw: bytes, out: Outgoing) -> bytes:
    """Put it back."""
    found = re.search(rb"(?im)^date:.*?(?=\r$)", raw)
    line = found[0] if found else b"Date: unknown"
    return re.sub(rb"(?im)^Date:.*?(?=\r$)", line, out.mail, count=1)


stock.on_outgoing(keep)

if __name__ == "__main__":
    stock.main()
