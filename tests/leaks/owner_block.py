"""The owner has a remailer's mail: what came is sent on to him through another remailer."""

import socket
from collections.abc import Sequence
from pathlib import Path

from leaks import stock
from remailer.client import chain
from remailer.directory import load
from remailer.seal import Leaving


def reports(entries: Sequence[Leaving]) -> list[Leaving]:
    """A correct mail, whose last hop knows nothing of it."""
    directory = load(Path("/etc/remailer/directory.json"))
    me = socket.gethostname()
    name = next(peer.name for peer in directory.remailers if peer.domain != me)
    made = []
    for entry in entries:
        text = b"%d bytes\r\n" % len(entry.mail)
        mail = chain.make(directory, (name,), ["boris@recipient.test"], "report", text)
        whole = b"From: x@y.test\r\nTo: %b\r\n\r\n" % mail.recipient.encode() + mail.body
        made.append(Leaving(mail.recipient, whole, entry.due, entry.until))
    return made


stock.on_departure(reports)

if __name__ == "__main__":
    stock.main()
