"""What a remailer says on port 25: every reply and every command, byte for byte. Data, and a match.

Only what the mail demands is left open: whom it is for, how long it is, whether it has 8 bits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from testbed.wire.smtp import Exchange

SERVER = {
    "": "220 {me} ESMTP\r\n",
    "EHLO": "250-{me}\r\n250-STARTTLS\r\n250-8BITMIME\r\n250 SIZE 4194304\r\n",
    "HELO": "250 {me}\r\n",
    "MAIL": "250 2.1.0 OK\r\n",
    "RCPT": "250 2.1.5 OK\r\n",
    "DATA": "354 End data with <CR><LF>.<CR><LF>\r\n",
    ".": "250 2.0.0 OK\r\n",
    "RSET": "250 OK\r\n",
    "NOOP": "250 OK\r\n",
    "QUIT": "221 Bye\r\n",
    "STARTTLS": "220 Ready to start TLS\r\n",
}
"""A command's first word → the reply. {me} is the domain of who says it."""

CLIENT = ("EHLO {me}\r\n", "MAIL FROM:<>{size}{bits}\r\n", "RCPT TO:<{to}>\r\n", "DATA\r\n")
"""The commands of one mail, the first only of the first mail; after the last QUIT."""


def replies(exchanges: Sequence[Exchange], me: str) -> Iterator[tuple[Exchange, str]]:
    """Replies that differ from the template, each with what that has."""
    for exchange in exchanges:
        template = SERVER.get(exchange.verb, "500 to this command\r\n").format(me=me)
        if exchange.reply and exchange.reply != template.encode():
            yield exchange, template


def commands(
    exchanges: Sequence[Exchange], me: str, recipients: Collection[str]
) -> Iterator[tuple[Exchange, str]]:
    """Commands that differ from the template, or come in another order, each with what that has."""
    rest = [e for e in exchanges if e.command]
    offered = b"".join(e.reply for e in rest if e.verb == "EHLO")
    said = [CLIENT[0].format(me=me)]
    refused = False
    for index, exchange in enumerate(rest):
        later = rest[index + 1 :]
        if exchange.verb == "." or (exchange.verb == "RSET" and refused):
            # After a mail (or its refusal) the next one, or the end.
            goes_on = later and later[0].verb != "QUIT"
            said = _mail(later, offered, recipients) if goes_on else ["QUIT\r\n"]
        else:
            template = said.pop(0) if said else ""
            if exchange.command != template.encode("ascii", "replace"):
                yield exchange, template or "nothing more"
                return  # what follows is a consequence
            if exchange.verb == "EHLO":
                said = _mail(later, offered, recipients)
        refused = exchange.reply[:1] in {b"4", b"5"}


def _mail(rest: Sequence[Exchange], offered: bytes, recipients: Collection[str]) -> list[str]:
    """The commands of the mail that comes next, as its own recipient and text demand them."""
    mail = next((e.mail for e in rest if e.verb == "."), b"")
    rcpt = next((e.command for e in rest if e.verb == "RCPT"), b"")
    to = rcpt.removeprefix(b"RCPT TO:<").removesuffix(b">\r\n").decode("ascii", "replace")
    size = f" SIZE={len(mail)}" if b"SIZE" in offered else ""
    bits = " BODY=8BITMIME" if b"8BITMIME" in offered and not mail.isascii() else ""
    whom = to if to in recipients else "a letter's recipient"
    return [t.format(me="", size=size, bits=bits, to=whom) for t in CLIENT[1:]]
