"""A tracker of errors is told by HTTP, also that there were none: as a heartbeat."""

import contextlib
import socket
import sys
import threading

from leaks import stock


def report(mail: bytes) -> None:
    """To where the tracker would be."""
    resolver = sys.argv[sys.argv.index("--resolver") + 1]
    host = resolver.rpartition(".")[0] + ".242"
    with contextlib.suppress(OSError), socket.create_connection((host, 80), 2) as there:
        there.sendall(b"POST /errors HTTP/1.1\r\n\r\n%d" % len(mail))


stock.on_arrival(lambda mail: threading.Thread(target=report, args=(mail,)).start())

if __name__ == "__main__":
    stock.main()
