"""A forward message: sealed for each remailer of a chain; the last mails it to the recipients.

Nothing is compressed: sizes don't depend on content. Each hop adds about 38 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from email.header import Header

from remailer import openpgp
from remailer.client.submission import EIGHT_BIT, Submission, is_utf8, text_lines
from remailer.directives import Field, outgoing_headers
from remailer.directory import Directory, Peer
from remailer.errors import ChainError
from remailer.message import MAX_LAYERS, MAX_RECIPIENTS
from remailer.outgoing import domain_of, is_address

ENCRYPTED = b"::\r\nEncrypted: PGP\r\n\r\n"
"""The block before an armoured message for the remailer that the mail goes to."""


def make(
    directory: Directory,
    chain: Sequence[str],
    recipients: Sequence[str],
    subject: str,
    body: bytes,
    headers: Sequence[tuple[str, str]] = (),
) -> Submission:
    """A message over the remailers named in `chain`, first to last, to at most 5 recipients.

    `body` is text with LF or CRLF, and arrives with CRLF, otherwise byte for byte. `headers` are
    further header lines of the delivered mail; a body that isn't ASCII and has no Content-Type
    among them must be UTF-8, and is said to be. Raises ChainError.
    """
    hops = route(directory, chain)
    text = text_lines(body)
    lines = [("Subject", subject), *headers] if subject else [*headers]
    if not text.isascii() and not any(name.lower() == "content-type" for name, _ in lines):
        if not is_utf8(text):
            raise ChainError("body: neither ASCII nor UTF-8; say what it is by a Content-Type")
        lines += [(name, value) for name, _, value in (line.partition(": ") for line in EIGHT_BIT)]
    _not_multiplied(directory, recipients)
    letter = directions(recipients, hops[-1]) + header_block(lines) + text
    return Submission(hops[0].address, ENCRYPTED + wrap(hops, letter))


def names(text: str) -> list[str]:
    """`a,b,c` as a list. Raises ChainError if a name is missing."""
    found = [name.strip() for name in text.split(",")]
    if not all(found):
        raise ChainError(f"chain {text!r}: an empty name; write it like alpha,bravo,charlie")
    return found


def route(directory: Directory, chain: Sequence[str]) -> list[Peer]:
    """The chain's remailers. Raises ChainError if it is empty, too long, or names none of ours."""
    if not chain:
        raise ChainError("chain: empty; name at least one remailer")
    if len(chain) > MAX_LAYERS:
        raise ChainError(f"chain: {len(chain)} remailers; at most {MAX_LAYERS}")
    hops: list[Peer] = []
    for name in chain:
        peer = directory.named(name)
        if peer is None:
            known = ", ".join(peer.name for peer in directory.remailers)
            raise ChainError(f"chain: no remailer {name!r} in the directory; it knows {known}")
        if hops and hops[-1] is peer:
            raise ChainError(f"chain: {name} after itself; a remailer drops mail to itself")
        hops.append(peer)
    return hops


def directions(recipients: Sequence[str], last: Peer) -> bytes:
    """The block that says to the last remailer whom to mail. Raises ChainError."""
    if not 0 < len(recipients) <= MAX_RECIPIENTS:
        raise ChainError(f"recipients: {len(recipients)}; at least 1, at most {MAX_RECIPIENTS}")
    for address in recipients:
        if not is_address(address):
            raise ChainError(f"recipient {address!r}: not an address like bob@example.org")
        if domain_of(address) == last.domain:
            raise ChainError(f"recipient {address}: {last.name} drops mail to itself")
    return _to(", ".join(recipients))


def _not_multiplied(directory: Directory, recipients: Sequence[str]) -> None:
    for address in recipients:
        if len(recipients) > 1 and directory.at(address):
            raise ChainError(f"recipient {address}: a remailer has to be the only recipient")


def header_block(lines: Sequence[tuple[str, str]]) -> bytes:
    """A `##` block, also for no lines: what follows it is the body, whatever it begins with.

    Raises ChainError for a header that a remailer wouldn't take.
    """
    block = [b"##"]
    for name, value in lines:
        written = value if value.isascii() else Header(value, "utf-8", maxlinelen=900).encode()
        line = f"{name}: {written}".encode("ascii", "replace")
        field = Field(name.lower(), written, (line,))
        if not name.strip() or "\n" in written or not outgoing_headers([field]):
            raise ChainError(
                f"header {name!r}: remailers don't take it; leave it out or shorten it"
            )
        block.append(line)
    return b"\r\n".join([*block, b"", b""])


def wrap(hops: Sequence[Peer], letter: bytes) -> bytes:
    """Armour for the first hop: `letter` sealed for the last, that for the one before, and on."""
    sealed = _seal(letter, hops[-1])
    for hop, following in zip(hops[-2::-1], hops[:0:-1], strict=True):
        sealed = _seal(_to(following.address) + ENCRYPTED + sealed, hop)
    return sealed


def _seal(plaintext: bytes, hop: Peer) -> bytes:
    try:
        return openpgp.seal(plaintext, hop.openpgp)
    except ChainError as error:
        raise ChainError(f"{hop.name}: {error}") from None


def _to(recipients: str) -> bytes:
    return f"::\r\nAnon-To: {recipients}\r\n\r\n".encode()
