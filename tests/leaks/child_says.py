"""A child has inherited a descriptor of the node's stderr, and says what it is given."""

import os
import subprocess

from leaks import stock

copy = os.dup(2)


def say(mail: bytes) -> None:
    """Through cat, which can't know what its output is."""
    subprocess.run(["cat"], input=b"took %d bytes\n" % len(mail), stdout=copy, check=False)


stock.on_arrival(say)

if __name__ == "__main__":
    stock.main()
