"""Runs in the sniffer's container: sends marker packets, waits until they stand in the capture.

Standard library only; no file of the project is imported. The one argument is a JSON object:
file, within (seconds), packets: [{payload (hex), to, port, source (or null)}]. Ends with 0 when
every payload was found in the file after it was sent, else with 1.
"""

import json
import socket
import struct
import sys
import time
from pathlib import Path

AGAIN = 1.0
"""Seconds after which markers that are not there yet are sent once more (UDP may be lost)."""
GLANCE = 0.02
"""Seconds between two looks at the file's end."""


def send(payload: bytes, to: str, port: int, source: str | None) -> None:
    """Send one UDP packet, under another's address if `source` names one (needs CAP_NET_RAW)."""
    if source is None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
            plain.sendto(payload, (to, port))
        return
    udp = struct.pack("!4H", 40000, port, 8 + len(payload), 0) + payload
    # The kernel fills in length, identification and checksum (raw(7), IP_HDRINCL).
    addresses = socket.inet_aton(source) + socket.inet_aton(to)
    header = struct.pack("!BBHHHBBH", 0x45, 0, 0, 0, 0, 64, socket.IPPROTO_UDP, 0) + addresses
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        raw.sendto(header + udp, (to, 0))


def main() -> int:
    """Send, look, send again."""
    task = json.loads(sys.argv[1])
    file = Path(task["file"])
    waiting = {bytes.fromhex(packet["payload"]): packet for packet in task["packets"]}
    deadline = time.monotonic() + task["within"]
    longest = max(map(len, waiting))
    start = file.stat().st_size if file.exists() else 0
    due = 0.0
    while waiting and time.monotonic() < deadline:
        if time.monotonic() >= due:
            for payload, packet in waiting.items():
                send(payload, packet["to"], packet["port"], packet["source"])
            due = time.monotonic() + AGAIN
        if file.exists():
            if file.stat().st_size < start:
                start = 0  # the sniffer was started again, and has begun the file anew
            with file.open("rb") as stream:
                stream.seek(start)
                data = stream.read()
            waiting = {payload: p for payload, p in waiting.items() if payload not in data}
            start += max(0, len(data) - longest)
        time.sleep(GLANCE)
    return 1 if waiting else 0


if __name__ == "__main__":
    sys.exit(main())
