"""The spool's file has an attribute with the number of mails."""

import os

from leaks import stock

count = 0


def leak(mail: bytes) -> None:
    """Count in the attribute."""
    global count
    count += 1
    os.setxattr("/var/lib/remailer/spool/spool.db", "user.mails", b"%d" % count)


stock.on_arrival(leak)

if __name__ == "__main__":
    stock.main()
