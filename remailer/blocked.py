"""The operator's file of addresses that get nothing from here, or whose mail isn't taken.

    # who asked for it
    to: bob@example.org
    # a domain, and all below it
    to: example.net
    from: flood.example

One pattern a line; capitals don't matter. As Mixmaster's dest.blk and source.blk in one file, but
without its regular expressions, and a pattern matches whole addresses and domains, not parts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from remailer.errors import SetupError

_LINE = re.compile(r"(to|from):[ \t]*([^\s:@]+@)?([a-z0-9-]+(?:\.[a-z0-9-]+)*)", re.IGNORECASE)


@dataclass(frozen=True)
class Blocked:
    """What an operator refuses: addresses and domains, in lower case."""

    destinations: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()

    def destination(self, address: str) -> bool:
        """Whether mail to it isn't sent."""
        return _matches(address, self.destinations)

    def source(self, address: str) -> bool:
        """Whether mail from it isn't taken."""
        return _matches(address, self.sources)


NOBODY = Blocked()
"""What is refused if the operator says nothing."""


def load(path: Path) -> Blocked:
    """Read the file. Raises SetupError, with the number of a line that can't be read."""
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise SetupError(f"--blocked {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SetupError(f"--blocked {path}: not a text file") from None
    found: dict[str, set[str]] = {"to": set(), "from": set()}
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _LINE.fullmatch(text)
        if not match:
            raise SetupError(
                f"--blocked {path}: line {number}: write to: or from:, and an address or a domain"
            )
        found[match[1].lower()].add(f"{match[2] or ''}{match[3]}".lower())
    return Blocked(frozenset(found["to"]), frozenset(found["from"]))


def _matches(address: str, patterns: frozenset[str]) -> bool:
    if not patterns:
        return False
    address = address.strip().lower()
    labels = address.rpartition("@")[2].split(".")
    domains = (".".join(labels[at:]) for at in range(min(len(labels), 128)))
    return address in patterns or any(domain in patterns for domain in domains)
