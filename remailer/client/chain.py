"""A forward message: sealed for each remailer of a chain; the last mails it to the recipients.

Nothing is compressed: sizes don't depend on content. Each hop adds about 38 %.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.header import Header

from remailer import openpgp
from remailer.client import padding
from remailer.client.submission import EIGHT_BIT, Submission, is_utf8, text_lines
from remailer.directives import Field, outgoing_headers
from remailer.directory import Directory, Peer
from remailer.errors import ChainError, SetupError
from remailer.message import MAX_LAYERS, MAX_RECIPIENTS
from remailer.outgoing import domain_of, is_address

ENCRYPTED = "Encrypted: PGP"
"""The directive before an armoured message for the remailer that the mail goes to."""

_NAME = re.compile(r"[!-9;-~]+")
"""A header's (RFC 5322, 2.2)."""


@dataclass(frozen=True)
class Forward(Submission):
    """A finished forward message, and what there is to know of it."""

    hops: tuple[Peer, ...]
    sizes: tuple[int, ...]
    """Bytes of what each hop is sent, the first hop first."""
    letter: int
    """Bytes of the header lines and the text."""
    layer: int
    """Bytes of what the last hop reads: its block with any padding, and the letter."""


def make(
    directory: Directory,
    chain: Sequence[str],
    recipients: Sequence[str],
    subject: str,
    body: bytes,
    headers: Sequence[tuple[str, str]] = (),
    *,
    padded: bool = False,
    latent: str = "",
) -> Forward:
    """A message over the remailers named in `chain`, first to last, to at most 5 recipients.

    `body` is text with LF or CRLF, and arrives with CRLF, otherwise byte for byte. `headers` are
    further header lines of the delivered mail; a body that isn't ASCII and has no Content-Type
    among them must be UTF-8, and is said to be. `padded` brings all layers to fixed sizes
    (padding.py); `latent` is a `Latent-Time` for each hop. Raises ChainError.
    """
    hops = route(directory, chain)
    text = text_lines(body)
    lines = [("Subject", subject), *headers] if subject else [*headers]
    if not text.isascii() and not any(name.lower() == "content-type" for name, _ in lines):
        if not is_utf8(text):
            raise ChainError("body: neither ASCII nor UTF-8; say what it is by a Content-Type")
        lines += [(name, value) for name, _, value in (line.partition(": ") for line in EIGHT_BIT)]
    _not_multiplied(directory, recipients)
    letter = header_block(lines) + text
    said = [f"Latent-Time: {latent}"] if latent else []
    to = judged(recipients, hops[-1])
    layer = len(padding.block([f"Anon-To: {to}", *said])) + len(letter)
    layer = padding.size_class(layer) if padded else layer
    messages = wrap(hops, to, letter, [said] * len(hops), padded=layer if padded else None)
    sizes = tuple(len(message) for message in messages)
    return Forward(hops[0].address, messages[0], tuple(hops), sizes, len(letter), layer)


def names(text: str) -> list[str]:
    """`a,b,c` as a list. Raises ChainError if a name is missing."""
    found = [name.strip() for name in text.split(",")]
    if not all(found):
        raise ChainError(f"chain {text!r}: an empty name; write it like alpha,bravo,charlie")
    return found


def route(directory: Directory, chain: Sequence[str]) -> list[Peer]:
    """The chain's remailers, their keys checked.

    Raises ChainError if it is empty, too long, or names none of ours, or one whose key is no good.
    """
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
    for peer in hops:
        _check_key(peer)
    return hops


def sound(peer: Peer) -> bool:
    """Whether a message can be sealed for it today."""
    try:
        _check_key(peer)
    except ChainError:
        return False
    return True


def judged(recipients: Sequence[str], last: Peer) -> str:
    """The recipients as a directive names them. Raises ChainError."""
    if not 0 < len(recipients) <= MAX_RECIPIENTS:
        raise ChainError(f"recipients: {len(recipients)}; at least 1, at most {MAX_RECIPIENTS}")
    for address in recipients:
        if not is_address(address):
            raise ChainError(f"recipient {address!r}: not an address like bob@example.org")
        if domain_of(address) == last.domain:
            raise ChainError(f"recipient {address}: {last.name} drops mail to itself")
    return ", ".join(recipients)


def _check_key(peer: Peer) -> None:
    try:
        openpgp.check(peer.openpgp)
        addresses = openpgp.identify(peer.openpgp).addresses
    except SetupError as error:
        raise ChainError(f"{peer.name}: {error}; --avoid {peer.name}, or ask for its key") from None
    if peer.address.lower() not in addresses:
        of = ", ".join(addresses) or "nobody"
        raise ChainError(f"{peer.name}: OpenPGP certificate: of {of}, not of {peer.address}")


def _not_multiplied(directory: Directory, recipients: Sequence[str]) -> None:
    for address in recipients:
        if len(recipients) > 1 and directory.at(address):
            raise ChainError(f"recipient {address}: a remailer has to be the only recipient")


def header_block(lines: Sequence[tuple[str, str]]) -> bytes:
    """A `##` block, also for no lines: what follows it is the body, whatever it begins with.

    Raises ChainError for a header that a remailer wouldn't take.
    """
    block = [b"##"]
    said: set[str] = set()
    for name, value in lines:
        try:
            written = value if value.isascii() else _words(name, value)
        except UnicodeEncodeError:  # a command line of another charset
            raise ChainError(f"header {name!r}: not UTF-8") from None
        line = f"{name}: {written}".encode("ascii", "replace")
        field = Field(name.lower(), written, (line,))
        if not _NAME.fullmatch(name) or "\n" in value or not outgoing_headers([field]):
            raise ChainError(
                f"header {name!r}: remailers don't take it; leave it out or shorten it"
            )
        if name.lower() in said:
            raise ChainError(f"header {name!r}: given twice, and remailers take only the first")
        said.add(name.lower())
        block.append(line)
    return b"\r\n".join([*block, b"", b""])


def _words(name: str, value: str) -> str:
    """A value that isn't ASCII, as encoded words (RFC 2047) on one line."""
    return (
        Header(value, "utf-8", maxlinelen=75, header_name=name)
        .encode(linesep="\n")
        .replace("\n ", " ")
    )


def wrap(
    hops: Sequence[Peer],
    recipients: str,
    letter: bytes,
    directives: Sequence[Sequence[str]],
    *,
    tail: bytes = b"",
    padded: int | None = None,
) -> list[bytes]:
    """What each hop is sent, the first hop first; each of these holds the one after it.

    A hop's layer is a block (where to, then its own `directives`), the message for the next hop or
    at last the letter, and `tail`. `padded` is the size of the last hop's layer, if sizes are to be
    fixed. Raises ChainError.
    """
    messages: list[bytes] = []
    to, inner, size = recipients, letter, padded
    for hop, said in zip(reversed(hops), reversed(directives), strict=True):
        room = size - len(inner) if size is not None else None
        layer = padding.block([f"Anon-To: {to}", *said], room) + inner + tail
        inner = _sealed(layer, hop, padded is not None)
        messages.append(inner)
        to, size = hop.address, len(inner) + padding.HEAD if padded is not None else None
    return messages[::-1]


def _sealed(layer: bytes, hop: Peer, padded: bool) -> bytes:
    try:
        armour = openpgp.seal(layer, hop.openpgp)
        room = padding.message(len(layer)) - len(armour) if padded else None
        return padding.block([ENCRYPTED], room) + armour
    except ChainError as error:
        raise ChainError(f"{hop.name}: {error}") from None
