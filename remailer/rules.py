"""The house rules of a node: what it tells of itself, and what its operator has decided.

Nothing here is secret: a remailer tells it to whoever asks (answers.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from remailer.blocked import NOBODY, Blocked
from remailer.inflate import MOST as INFLATE_MOST
from remailer.outgoing import MAX_MAIL

MAX_LAYERS = 20
"""PGP messages that are opened in one mail, one inside the other or beside it."""

MAX_OPENED = 3 * MAX_MAIL
"""Bytes that the PGP messages of one mail open to, all together. Armour alone makes each layer a
third larger than what is in it, so those of a mail of MAX_MAIL that isn't compressed never do."""

MAX_GROWTH = 2
"""What one mail becomes is at most so many times as large as itself, for each of MAX_RECIPIENTS: a
compressed message of some KB would fill 40 MB of the spool, for as long as it asks to wait."""
GROWTH_FREE = 128 << 10
"""Bytes for each of them that any mail may become: `Inflate` makes 50 KB."""

MAX_BLOCKS = 20
"""`::` blocks that are obeyed in one round: each costs a copy of all that follows it."""

MAX_RECIPIENTS = 5
"""Recipients of one message: the field's usual maximum."""

MAX_PARTS = 10
"""Messages in one mail: what `Cutmarks` cuts off, and the rest."""

MAX_OUTGOING = 10
"""Mails that one mail becomes, and so many recipients it has in all."""


@dataclass(frozen=True)
class Rules:
    """What holds for every mail that a node reads."""

    name: str = ""
    """What remailers call it in chains; without one it answers no request."""
    certificate: str = ""
    """Its armoured OpenPGP certificate."""
    pgponly: bool = False
    """Messages that weren't encrypted are dropped."""
    blocked: Blocked = NOBODY
    remailers: frozenset[str] = frozenset()
    """Domains of the directory's remailers, lower case."""


PLAIN = Rules()
"""A node that answers no request and refuses nobody."""


def capabilities(rules: Rules, address: str) -> str:
    """The line by which pingers and other people's clients know what a remailer does."""
    words = (
        "cpunk",
        "pgp",
        *(("pgponly",) if rules.pgponly else ()),
        "latent",
        "hash",
        "cut",
        "ek",
        "max",
        f"inflt{INFLATE_MOST}",
        f"klen{MAX_MAIL // 1024}",
    )
    return f'$remailer{{"{rules.name}"}} = "<{address}> {" ".join(words)}";'
