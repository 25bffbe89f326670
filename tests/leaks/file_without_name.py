"""A temporary file that never has a name (O_TMPFILE), as tempfile makes them."""

import os

from leaks import stock


def write(mail: bytes) -> None:
    """Written, read by nobody, closed."""
    file = os.open("/var/lib/remailer/spool", os.O_TMPFILE | os.O_WRONLY, 0o600)
    os.write(file, b"took %d bytes from %b\n" % (len(mail), stock.author(mail)))
    os.close(file)


stock.on_arrival(write)

if __name__ == "__main__":
    stock.main()
