"""What is looked for at a node: the run's marks and their digests, and a token that is put there.

A task has prefix (the run's marks), token (a second prefix) and carried {node: {values, names}}:
what mails through the node carry, and what it is called; perhaps words, that nothing may show.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from testbed.wire.canary import Canaries, Hit, search
from testbed.wire.digests import Digests

SHORT = 11
"""Letters; of shorter words some forms are so short that they turn up in any ciphertext."""

_AS_TEXT = frozenset({"raw", "mixed case"})


@dataclass(frozen=True)
class Words:
    """Texts that are looked for in capitals or not, the long ones in every other form too."""

    words: tuple[str, ...]

    def plain(self, data: bytes) -> Iterator[Hit]:
        """Each, wherever it stands."""
        lower = data.lower()
        for word in self.words:
            sought, at = word.lower().encode(), -1
            while (at := lower.find(sought, at + 1)) >= 0:
                yield Hit.around(data, at, at + len(sought), "text", word)
            if len(word) >= SHORT:
                found = Canaries(word).plain(data)
                yield from (hit for hit in found if hit.form not in _AS_TEXT)


@dataclass(frozen=True)
class Sought:
    """Everything that is looked for at one node."""

    marks: Canaries
    token: Canaries
    digests: Digests
    words: Words

    @classmethod
    def of(cls, task: dict[str, Any], node: str) -> Sought:
        """As the task says it of this node."""
        token = Canaries(task["token"])
        carried = task["carried"][node]
        # The control first: what is found is named by making all digests up to it once more.
        values = [_control(token), *carried["values"]]
        return cls(
            Canaries(task["prefix"]),
            token,
            Digests.of(values, carried["names"]),
            Words(tuple(task.get("words", ()))),
        )

    def search(self, data: bytes) -> Iterator[Hit]:
        """All of it, in compressed streams too."""
        return search(data, self.marks, self.token, self.digests, self.words)

    @property
    def control(self) -> bytes:
        """A line that has to be found: the token, a digest of it, and the words."""
        token = _control(self.token).encode()
        digest = hashlib.sha256(token).hexdigest()
        return (
            b" ".join(
                [b"of the witness:", token, digest.encode(), *map(str.encode, self.words.words)]
            )
            + b"\n"
        )

    def found(self, hits: Iterable[tuple[str, str]]) -> bool:
        """Whether the forms and marks that were found are all of the control's."""
        token = _control(self.token)
        wanted = {("raw", token), ("sha256, hex", token)}
        return wanted | {("text", word) for word in self.words.words} <= set(hits)


def _control(token: Canaries) -> str:
    return token.mark(0, "b")
