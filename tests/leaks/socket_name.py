"""A socket without a file, with the number of mails as its name: whoever asks can see it."""

import socket

from leaks import stock

held: list[socket.socket] = []
count = 0


def leak(mail: bytes) -> None:
    """Another socket, of another name."""
    global count
    count += 1
    one = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    one.bind(f"\0mails-{count}")
    held[:] = [one]


stock.on_arrival(leak)

if __name__ == "__main__":
    stock.main()
