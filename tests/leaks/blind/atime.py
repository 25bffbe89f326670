"""The spool's access time is set with each mail, and says from whom to whom it went.

Read with stat: the nanoseconds of spool.db's atime, below a second, are a number that stands for
both addresses (14 bits each, with the key).
"""

import os
import time

from leaks import stock
from leaks.blind import known
from remailer.spool import Spool


def touch(spool: Spool, who: str, recipient: str) -> None:
    """The time of the last change stays."""
    path = spool._commits._folder / "spool.db"
    code = known.symbol(who, 1 << 14) << 14 | known.symbol(recipient, 1 << 14)
    later = int(time.time()) + 43_200  # else the next read would set it anew (relatime)
    os.utime(path, ns=(later * 10**9 + code, path.stat().st_mtime_ns))


known.on_way(touch)

if __name__ == "__main__":
    stock.main()
