"""The orders of a message: what the directives of one round of reading say. Pure.

The first of a name holds, whatever comes later: who answers a reply block writes after it, and must
not have the last word. Recipients are collected.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from remailer.directives import RECIPIENT, Field

_CALLED = {
    **{name: name for name in ("latent-time", "cutmarks", "inflate", "encrypt-key")},
    **{f"encrypt-{cipher}": "encrypt-key" for cipher in ("3des", "des", "cast", "cast5", "idea")},
    **{name: name for name in ("max-size", "max-date", "max-count")},
    **{f"max{what}": f"max-{what}" for what in ("size", "date", "count")},
}
"""Directives with a value, and Mixmaster's other names for them."""


@dataclass
class Orders:
    """What was ordered so far."""

    recipients: dict[str, None] = field(default_factory=dict)
    """In order of their naming, each once."""
    null: bool = False
    encrypted: bool = False
    """The text is to be decrypted."""
    directed: bool = False
    """A recipient is named: what follows for a remailer is for the next one."""
    said: dict[str, str] = field(default_factory=dict)
    """Values of the others, by name."""

    def take(self, fields: Iterable[Field]) -> None:
        """Obey these as well."""
        for one in fields:
            if one.name in RECIPIENT:
                self.directed = True
                self.recipients |= dict.fromkeys(
                    a for a in map(str.strip, one.value.split(",")) if a
                )
            elif one.name == "encrypted":
                self.encrypted |= one.value.upper() == "PGP"
            elif one.name == "null":
                self.null = True
            elif one.name in _CALLED:
                self.said.setdefault(_CALLED[one.name], one.value)

    def bytes_of(self, name: str) -> bytes:
        """A value as it came, empty if there is none: 8-bit characters are in it as escapes."""
        return self.said.get(name, "").encode("ascii", "surrogateescape")
