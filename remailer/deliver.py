"""`remailer deliver`: one mail from the host's mail system (a .forward) to the running node.

The rule: 0 means that the mail is durable in the node's spool, or one that the node refuses for
ever; whatever else happens is EX_TEMPFAIL, and the mail system keeps the mail and tries again.
Never a bounce: it would go to whom the envelope names, forged or not, with the mail in it, and be
written down on its way. Nothing is said of the mail: mail systems log a command's words and codes.

Only what is needed is imported: a process is started for each mail.
"""

from __future__ import annotations

import re
import smtplib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from remailer.places import SPOOL

SOCKET = "deliver"
"""The node's Unix socket in the folder of its spool."""
OK, EX_TEMPFAIL = 0, 75
"""sysexits(3), as local(8) and pipe(8) of Postfix read them."""
REFUSED = frozenset({550, 552, 554})
"""From whom nothing is taken, too big, not a clean mail: docs/node.md. Nothing else is for ever."""
NODE_SECONDS = 300.0
_CHUNK = 1 << 16
_SENDER = re.compile(rb"return-path:[ \t]*<([!#-;=?A-~]{1,200}@[!#-;=?A-~]{1,200})>", re.IGNORECASE)


class _Local(smtplib.LMTP):
    """smtplib finds Unix sockets for LMTP only; ours speaks SMTP."""

    ehlo_msg = "ehlo"


def main(arguments: Sequence[str]) -> int:
    """Run the command; its exit status."""
    match arguments:
        case []:
            folder = SPOOL
        case ["--spool", given]:
            folder = Path(given)
        case _:
            print("remailer deliver: the only option is --spool FOLDER", file=sys.stderr)
            return EX_TEMPFAIL  # the operator mends his .forward, and the mail is still there
    try:
        return deliver(folder, sys.stdin.buffer)
    except Exception:  # whatever it was, the mail system keeps the mail
        return EX_TEMPFAIL


def deliver(folder: Path, stream: BinaryIO) -> int:
    """Hand in the mail that the stream has. Raises OSError or SMTPException if nobody takes it."""
    with _Local(str(folder / SOCKET), 0, "localhost", timeout=NODE_SECONDS) as node:
        node.ehlo()
        most = int(node.esmtp_features["size"])
        mail = stream.read(most + 1)
        if len(mail) > most:
            while stream.read(_CHUNK):
                pass
            return OK
        code = _hand_over(node, as_sent(mail))
    return OK if code == 250 or code in REFUSED else EX_TEMPFAIL


def as_sent(mail: bytes) -> bytes:
    """A mail as it goes over the wire: CRLF, and without the `From ` line of mailboxes."""
    if mail.startswith(b"From "):
        mail = mail.partition(b"\n")[2]
    return mail.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def sender(mail: bytes) -> str:
    """Whom the envelope named, by the Return-Path that mail systems put at the top; else nobody."""
    for line in mail.partition(b"\r\n\r\n")[0].split(b"\r\n"):
        if line.lower().startswith(b"return-path:"):  # any further one came with the mail
            found = _SENDER.fullmatch(line.rstrip())
            return found[1].decode("ascii") if found else ""
    return ""


def _hand_over(node: _Local, mail: bytes) -> int:
    """The node's last word. Every node takes mail for its postmaster (RFC 5321, 4.5.1)."""
    code, _ = node.docmd("MAIL", f"FROM:<{sender(mail)}> SIZE={len(mail)}")
    if code == 250:
        code, _ = node.rcpt("postmaster")
    if code == 250:
        code, _ = node.data(mail)
    return code
