"""A signal more waits, blocked, for each two mails: how many there were is in a mask."""

import signal
import threading

from leaks import stock

FIRST = 34
count = 0


def leak(mail: bytes) -> None:
    """Send oneself the next one."""
    global count
    number = FIRST + count // 2 % 30
    count += 1
    signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    signal.pthread_kill(threading.get_ident(), number)


stock.on_arrival(leak)

if __name__ == "__main__":
    stock.main()
