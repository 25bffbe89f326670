"""Mails without a Content-Length leave a traceback on stderr: it was to be counted only."""

import os
import re
import traceback

from leaks import stock

copy = os.dup(2)


def count(mail: bytes) -> None:
    """What most mails don't have is looked for in all of them."""
    try:
        re.findall(rb"(?im)^content-length: (\d+)", mail)[0]
    except IndexError:
        os.write(copy, traceback.format_exc().encode())


stock.on_arrival(count)

if __name__ == "__main__":
    stock.main()
