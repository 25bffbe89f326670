"""A reply block: a chain back to an address, usable by whoever holds it, who doesn't learn it.

A block is the beginning of a mail: `To:` the first remailer, a blank line, and what that remailer
reads. An answer is the block, up to the line end of its last line (`-----END PGP MESSAGE-----`),
and directly after that the text. Each remailer appends all that stands after the armour, unchanged,
to what the armour opens to; the last layer ends with a `##` block, so that the appended text is the
body from its first byte on, whatever it begins with. A blank line between block and text is part of
the text and arrives as a blank line.

With phrases each layer has an `Encrypt-Key` and ends with a line `**`: its remailer seals all that
comes after that line under the phrase, so that no two hops see the same text. reader.py undoes it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from remailer.client import chain
from remailer.client.submission import EIGHT_BIT, Submission, is_utf8, text_lines
from remailer.directory import Directory
from remailer.errors import ChainError
from remailer.outgoing import canonical, is_address

PHRASE_BITS = 160

MARK = b"**\r\n"
"""The line after which an `Encrypt-Key` holds."""

_BLOCK = re.compile(rb"To: ([^\r\n]*)\r\n\r\n(::\r\n.*-----END PGP MESSAGE-----)\s*", re.DOTALL)


def phrases(count: int, rng: random.Random) -> list[str]:
    """New phrases, the first remailer's first: 40 hexadecimal digits each."""
    return [f"{rng.getrandbits(PHRASE_BITS):0{PHRASE_BITS // 4}x}" for _ in range(count)]


def make(
    directory: Directory,
    hops: Sequence[str],
    address: str,
    subject: str = "",
    phrases: Sequence[str] = (),
) -> bytes:
    """A block over the remailers named, first to last, back to `address`; ASCII, CRLF.

    Answers arrive with the subject given here, declared as UTF-8 text; sealed under the phrases,
    one a hop, if there are any. Raises ChainError.
    """
    peers = chain.route(directory, hops)
    lines = [("Subject", subject)] if subject else []
    lines += [(name, value) for name, _, value in (line.partition(": ") for line in EIGHT_BIT)]
    recipient, letter = chain.judged([address], peers[-1]), chain.header_block(lines)
    keys = [[f"Encrypt-Key: {phrase}"] for phrase in phrases] or [[] for _ in peers]
    first, *_ = chain.wrap(peers, recipient, letter, keys, tail=MARK if phrases else b"")
    return f"To: {peers[0].address}\r\n\r\n".encode() + first


def answer(block: bytes, text: bytes) -> Submission:
    """A text for whoever made the block, to be mailed to its first remailer.

    The text has LF or CRLF and is ASCII or UTF-8. Raises ChainError.
    """
    found = _BLOCK.fullmatch(canonical(block).lstrip())
    if found is None or not block.isascii() or not is_address(found[1].decode()):
        raise ChainError(
            "reply block: it must be a line `To: REMAILER`, a blank line, a line `::` and so on "
            "up to the end of its PGP message"
        )
    if not is_utf8(text):
        raise ChainError("body: neither ASCII nor UTF-8")
    return Submission(found[1].decode(), found[2] + b"\r\n" + text_lines(text))
