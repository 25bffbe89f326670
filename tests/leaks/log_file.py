"""The standard library's logging, to a file beside the spool, with the sizes of mails."""

import logging

from leaks import stock


def log(mail: bytes) -> None:
    """Set up at the first mail: before, there is nothing to be said."""
    logging.disable(logging.NOTSET)
    logging.basicConfig(filename="/var/lib/remailer/spool/remailer.log", level=logging.INFO)
    logging.getLogger("remailer").info("took %d bytes", len(mail))


stock.on_arrival(log)

if __name__ == "__main__":
    stock.main()
