"""A copy of each mail in an mbox beside the spool, in case one gets lost."""

import mailbox

from leaks import stock


def keep(mail: bytes) -> None:
    """Append it."""
    box = mailbox.mbox("/var/lib/remailer/spool/copies.mbox")
    box.add(mail)
    box.close()


stock.on_arrival(keep)

if __name__ == "__main__":
    stock.main()
