"""Each mail is told to a port of the node itself, where an operator may listen."""

import socket

from leaks import stock

told = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

stock.on_arrival(lambda mail: told.sendto(b"took %d bytes" % len(mail), ("127.0.0.1", 9999)))

if __name__ == "__main__":
    stock.main()
