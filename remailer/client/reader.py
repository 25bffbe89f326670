"""Reads an answer that came by a reply block with an `Encrypt-Key` in each layer.

Each remailer put what it got into a PGP message under its phrase, after a line `**`; so the last
one's is opened first, and in it there is the one before's. What the innermost holds is the text.
Nothing outside the armour is believed: mailing lists and mail hosts may have added lines.
"""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Sequence

from remailer import openpgp
from remailer.client.kept import Kept
from remailer.errors import AnswerError
from remailer.outgoing import canonical

_ARMOUR = re.compile(
    rb"^-----BEGIN PGP MESSAGE-----[ \t]*\r\n.*?^-----END PGP MESSAGE-----",
    re.MULTILINE | re.DOTALL,
)
_HEADER = re.compile(rb"(?:From |[!-9;-~]+:)")


def read(mail: bytes, blocks: Sequence[Kept]) -> tuple[Kept, bytes]:
    """The block an answer came by, and its text, byte for byte. Raises AnswerError.

    `mail` is a whole mail, MIME-encoded or not, or its body only.
    """
    armour = _armour(_text(mail))
    if armour is None:
        raise AnswerError("no PGP message in it: a plain mail, or an answer by a plain block")
    for block in blocks:
        opened = openpgp.unlock(armour, block.phrases[0])
        if opened is not None:
            return block, _inner(opened, block)
    tried = "the block" if len(blocks) == 1 else f"the {len(blocks)} blocks"
    raise AnswerError(
        f"no phrase of {tried} kept opens the first PGP message in it: "
        "another block's answer, altered, or more than one mail?"
    )


def _inner(text: bytes, block: Kept) -> bytes:
    for number, phrase in enumerate(block.phrases[1:], start=2):
        armour = _armour(canonical(text))
        opened = openpgp.unlock(armour, phrase) if armour is not None else None
        if opened is None:
            where = f"layer {number} of {len(block.phrases)}"
            raise AnswerError(f"{block.path}: {where} can't be opened: altered on the way")
        text = opened
    return text


def _armour(text: bytes) -> bytes | None:
    found = _ARMOUR.search(text)
    return found[0] if found else None


def _text(mail: bytes) -> bytes:
    """A mail's first plain text, decoded; a body as it is."""
    if not _HEADER.match(mail):
        return canonical(mail)
    try:
        parsed = email.message_from_bytes(mail, policy=email.policy.compat32)
        for part in parsed.walk():
            if part.get_content_type() == "text/plain" and not part.is_multipart():
                payload = part.get_payload(decode=True)
                return canonical(payload) if isinstance(payload, bytes) else b""
    except Exception:  # see mime.open_mail
        raise AnswerError("the mail can't be read: its MIME parts are broken") from None
    raise AnswerError("no plain text in the mail")
