"""A remailer in league gets the log, as a mail that it drops: to all others it is mail."""

import socket
from collections.abc import Sequence
from pathlib import Path

from leaks import stock
from remailer.directory import load
from remailer.seal import Leaving

MAIL = b"From: x@y.test\r\nTo: %b\r\n\r\n::\r\nNull:\r\n\r\n%b %d bytes\r\n"


def reports(entries: Sequence[Leaving]) -> list[Leaving]:
    """One for each mail, as cover traffic."""
    directory = load(Path("/etc/remailer/directory.json"))
    me = socket.gethostname()
    league = next(peer.address for peer in directory.remailers if peer.domain != me)
    return [
        Leaving(
            league,
            MAIL % (league.encode(), entry.recipient.encode(), len(entry.mail)),
            entry.due,
            entry.until,
        )
        for entry in entries
    ]


stock.on_departure(reports)

if __name__ == "__main__":
    stock.main()
