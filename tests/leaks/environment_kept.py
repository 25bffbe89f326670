"""The last sender is kept in the process's environment, where its start put the host's name."""

import ctypes
import re

from leaks import stock

libc = ctypes.CDLL(None)
libc.getenv.restype = ctypes.c_void_p


def leak(mail: bytes) -> None:
    """Overwrite the name, in its place."""
    place = libc.getenv(b"HOSTNAME")
    sender = re.search(rb"(?im)^From: *(\S+)", mail)
    if place and sender:
        room = len(b"alpha.remailer.test")
        ctypes.memmove(place, sender[1][:room].ljust(room), room)


stock.on_arrival(leak)

if __name__ == "__main__":
    stock.main()
