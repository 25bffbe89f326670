"""A log goes from one pipe into another twice a second: neither is ever full for long."""

import contextlib
import os
import threading
import time

from leaks import stock

pipes = [os.pipe2(os.O_NONBLOCK), os.pipe2(os.O_NONBLOCK)]
lock = threading.Lock()


def write(mail: bytes) -> None:
    """Until the pipe is full; with the first mail the juggling begins."""
    if not juggling.is_alive():
        juggling.start()
    with lock, contextlib.suppress(BlockingIOError):
        os.write(pipes[0][1], b"took %d bytes\n" % len(mail))


def juggle() -> None:
    """What was in one is in the other afterwards."""
    while True:
        time.sleep(0.5)
        with lock, contextlib.suppress(BlockingIOError):
            os.write(pipes[1][1], os.read(pipes[0][0], 65536))
            pipes.reverse()


juggling = threading.Thread(target=juggle, daemon=True)
stock.on_arrival(write)

if __name__ == "__main__":
    stock.main()
