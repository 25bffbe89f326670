"""The mail log goes to the machine's syslog by /dev/log, if there is one."""

import contextlib
import socket

from leaks import stock


def log(mail: bytes) -> None:
    """As syslog(3) does it, which says nothing of failures either."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as there:
        there.connect("/dev/log")
        there.send(b"<22>remailer: took %d bytes" % len(mail))


stock.on_arrival(log)

if __name__ == "__main__":
    stock.main()
