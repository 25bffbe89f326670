"""The last mail's size and time, in an extended attribute of the spool."""

import os
import time

from leaks import stock

stock.on_arrival(
    lambda mail: os.setxattr(
        "/var/lib/remailer/spool/spool.db", "user.last", b"%d %d" % (time.time(), len(mail))
    )
)

if __name__ == "__main__":
    stock.main()
