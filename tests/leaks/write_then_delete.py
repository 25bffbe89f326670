"""A log that is deleted as soon as it was written: it is only for tail -f."""

from pathlib import Path

from leaks import stock

LOG = Path("/var/lib/remailer/spool/tail.log")


def write(mail: bytes) -> None:
    """There for a moment."""
    LOG.write_bytes(b"took %d bytes from %b\n" % (len(mail), stock.author(mail)))
    LOG.unlink()


stock.on_arrival(write)

if __name__ == "__main__":
    stock.main()
