"""A reply block: a chain back to an address, usable by whoever holds it, who doesn't learn it.

How the bytes of an answer arrive: an answer is the block, up to the line end of its last line
(`-----END PGP MESSAGE-----`), and directly after that the text. Each remailer appends all that
stands after the armour, unchanged, to what the armour opens to; the last layer ends with a `##`
block, so that the appended text is the body from its first byte on, whatever it begins with. A
blank line between block and text is part of the text and arrives as a blank line.
"""

from __future__ import annotations

from collections.abc import Sequence

from remailer.client import chain
from remailer.client.submission import EIGHT_BIT, Submission, is_utf8, text_lines
from remailer.directory import Directory
from remailer.errors import ChainError
from remailer.outgoing import canonical

_END = b"-----END PGP MESSAGE-----"


def make(directory: Directory, hops: Sequence[str], address: str, subject: str = "") -> bytes:
    """A block over the remailers named, first to last, back to `address`; ASCII, CRLF.

    Answers go to the first remailer's address, and arrive with the subject given here, declared
    as UTF-8 text. Raises ChainError.
    """
    peers = chain.route(directory, hops)
    lines = [("Subject", subject)] if subject else []
    lines += [(name, value) for name, _, value in (line.partition(": ") for line in EIGHT_BIT)]
    letter = chain.directions([address], peers[-1]) + chain.header_block(lines)
    return chain.ENCRYPTED + chain.wrap(peers, letter)


def answer(directory: Directory, first: str, block: bytes, text: bytes) -> Submission:
    """A text for whoever made the block, to be mailed to its first remailer, named `first`.

    The text has LF or CRLF and is ASCII or UTF-8. Raises ChainError.
    """
    (peer,) = chain.route(directory, [first])
    block = canonical(block).strip()
    if not block.startswith(b"::\r\n") or not block.endswith(_END) or not block.isascii():
        raise ChainError("reply block: it must begin with a line `::` and end with its PGP message")
    if not is_utf8(text):
        raise ChainError("body: neither ASCII nor UTF-8")
    return Submission(peer.address, block + b"\r\n" + text_lines(text))
