#!/usr/bin/python3 -IB
"""sniff IFACE...: capture whole packets on all of these, until SIGINT or SIGTERM.

Then dumpcap, which this becomes, tells how many it received and dropped, on stderr and in the file.
"""

import os
import socket
import sys
import time

CAPTURE = "/captures/web.pcapng"
BUFFER_MIB = "64"
QUEUE_BYTES = str(256 * 2**20)
"""Between dumpcap's threads, one an interface, and the file: its own 1,000 packets overflow."""
MOST_KB = "4000000"
"""On links of cells something passes always: a web that stays up must not fill the disk."""
PATIENCE = 30.0


def wait_for(interfaces: list[str]) -> None:
    """Wait until every interface is there: Compose starts us while it is still making bridges."""
    deadline = time.monotonic() + PATIENCE
    while missing := set(interfaces) - {name for _, name in socket.if_nameindex()}:
        if time.monotonic() > deadline:
            sys.exit(f"sniff: no interface {', '.join(sorted(missing))} within {PATIENCE:.0f} s")
        time.sleep(0.05)


def main() -> None:
    """Become dumpcap."""
    interfaces = sys.argv[1:]
    if not interfaces:
        sys.exit("sniff: which interfaces? sniff IFACE...")
    wait_for(interfaces)
    options = [word for name in interfaces for word in ("-i", name, "-B", BUFFER_MIB)]
    os.execvp(
        "dumpcap",
        [
            "dumpcap",
            *options,
            "-C",
            QUEUE_BYTES,
            "-s",
            "0",
            "-q",
            "-a",
            f"filesize:{MOST_KB}",
            "-w",
            CAPTURE,
        ],
    )


main()
