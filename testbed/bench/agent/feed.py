"""Feeds mail as fast as it is taken, over several kept connections, and waits until all arrived.

    python3 -m testbed.bench.agent.feed '{"host": ..., "port": ..., "tls": ..., "to": ...,
        "letters": folder, "mails": n, "sink": host, "arrivals": n, "within": seconds}'

Prints one line of JSON: how many were taken and arrived, and the seconds from the first
connection to the last arrival (or to the last 250, where none is to arrive). Messages are
distinct up to the folder's number of letters; each mail has a Message-ID of its own.
"""

from __future__ import annotations

import itertools
import json
import secrets
import socket
import ssl
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONNECTIONS = 8
KEYS = Path("/var/lib/remailer/keys")


@dataclass(frozen=True)
class Feed:
    """What to feed to whom, and how many of them are to arrive where."""

    host: str
    port: int
    tls: bool
    to: str
    letters: str
    mails: int
    sink: str
    arrivals: int
    within: float


class Smtp:
    """A blocking SMTP client, without pipelining, as remailers have it."""

    def __init__(self, feed: Feed) -> None:
        self._socket: socket.socket = socket.create_connection((feed.host, feed.port), feed.within)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if feed.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False  # it is fed, not trusted
            context.verify_mode = ssl.CERT_NONE
            context.load_cert_chain(KEYS / "link.crt", KEYS / "link.key")
            self._socket = context.wrap_socket(self._socket)
        self._replies = self._socket.makefile("rb")
        self._reply(b"220")
        self.command(b"EHLO charlie.remailer.test", b"250")

    def command(self, line: bytes, expected: bytes) -> None:
        """Say a line (or a mail with its end); anything but the expected reply is an error."""
        self._socket.sendall(line + b"\r\n")
        self._reply(expected)

    def _reply(self, expected: bytes) -> None:
        while True:
            line = self._replies.readline()
            if not line.startswith(expected):
                raise ConnectionError(f"said {line!r}, not {expected!r}")
            if line[3:4] != b"-":
                return


def send(feed: Feed, letters: list[bytes], numbers: itertools.count[int]) -> None:
    """Send mails over one connection until the numbers are through."""
    client = Smtp(feed)
    to = feed.to.encode()
    while (number := next(numbers)) < feed.mails:
        client.command(b"MAIL FROM:<>", b"250")
        client.command(b"RCPT TO:<" + to + b">", b"250")
        client.command(b"DATA", b"354")
        mail = b"From: charlie@charlie.remailer.test\r\nTo: " + to + b"\r\n"
        mail += b"Message-ID: <" + secrets.token_hex(16).encode() + b"@charlie.remailer.test>\r\n"
        client.command(mail + b"\r\n" + letters[number % len(letters)] + b".", b"250")
    client.command(b"QUIT", b"221")


def ask(sink: str, question: bytes) -> dict[str, Any]:
    """What the sink has counted."""
    with socket.create_connection((sink, 2600), 10) as connection:
        connection.sendall(question + b"\n")
        with connection.makefile("rb") as answers:
            told: dict[str, Any] = json.loads(answers.readline())
            return told


def run(feed: Feed) -> dict[str, Any]:
    """Feed, and wait until all that is to arrive has arrived or time is over."""
    letters = [path.read_bytes() for path in sorted(Path(feed.letters).iterdir())]
    numbers = itertools.count()
    failed: list[str] = []

    def work() -> None:
        try:
            send(feed, letters, numbers)
        except OSError as error:
            failed.append(str(error))

    ask(feed.sink, b"reset")
    began = time.monotonic()
    threads = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fed = time.monotonic()
    told = ask(feed.sink, b"count")
    while not failed and told["arrived"] < feed.arrivals and time.monotonic() < began + feed.within:
        time.sleep(0.02)
        told = ask(feed.sink, b"count")
    ended = max(told["last"], fed) if feed.arrivals else fed
    return {
        "seconds": ended - began,
        "arrived": told["arrived"],
        "unmarked": told["unmarked"],
        "failed": failed,
    }


if __name__ == "__main__":
    print(json.dumps(run(Feed(**json.loads(sys.argv[1])))))
