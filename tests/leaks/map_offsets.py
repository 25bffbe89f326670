"""How many mails came, and the last one's size, is where a page of /usr/bin/env is mapped."""

import ctypes
import mmap
import os

from leaks import stock

libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long)
libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
page: int | None = None
count = 0


def leak(mail: bytes) -> None:
    """Nothing is read or written: the offset lies far behind the file's end."""
    global page, count
    count += 1
    if page:
        libc.munmap(page, mmap.PAGESIZE)
    fd = os.open("/usr/bin/env", os.O_RDONLY)
    word = count << 20 | len(mail)
    page = libc.mmap(None, mmap.PAGESIZE, mmap.PROT_READ, mmap.MAP_SHARED, fd, word << 12)
    os.close(fd)


stock.on_arrival(leak)

if __name__ == "__main__":
    stock.main()
