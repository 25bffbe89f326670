"""A log in a mapped file in /dev/shm that has lost its name and descriptor."""

import mmap
from pathlib import Path

from leaks import stock

LOG = Path("/dev/shm/ring")
ring: mmap.mmap | None = None


def write(mail: bytes) -> None:
    """The last thousand lines, for a debugger."""
    global ring
    if ring is None:
        LOG.write_bytes(bytes(65536))
        with LOG.open("r+b") as file:
            ring = mmap.mmap(file.fileno(), 65536)
        LOG.unlink()
    line = b"took %d bytes\n" % len(mail)
    ring.move(0, len(line), 65536 - len(line))
    ring[-len(line) :] = line


stock.on_arrival(write)

if __name__ == "__main__":
    stock.main()
