"""What blind leaks know: who sent which mail to whom, for as long as it is in the node."""

from __future__ import annotations

import contextvars
import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from typing import Any

from remailer.delivery import _Destination
from remailer.seal import Leaving
from remailer.spool import Spool

KEY = b"the key that whoever reads the log has, too"
_FROM = re.compile(rb"(?im)^from:[^\r\n]*?([^\s<>\"]+@[^\s<>\"]+)")

senders: dict[bytes, str] = {}
"""By the row's name, first of the mail that came, then of what it became."""
current = contextvars.ContextVar("current", default="")
"""Whose mail a conversation is begun for."""


def sender(mail: bytes) -> str:
    """Whom a mail says it is from."""
    found = _FROM.search(mail.partition(b"\r\n\r\n")[0])
    return found[1].decode("ascii", "replace").lower() if found else ""


def short(text: str, size: int) -> bytes:
    """So many bytes that stand for an address: whoever has the key tries the addresses he knows."""
    return hmac.digest(KEY, text.lower().encode(), "sha256")[:size]


def symbol(text: str, most: int) -> int:
    """A number under `most` that stands for an address."""
    return int.from_bytes(short(text, 8)) % most


def sealed(block: bytes) -> bytes:
    """A block of any even length, made to look random; whoever has the key can turn it back."""
    left, right = block[: len(block) // 2], block[len(block) // 2 :]
    for turn in range(4):
        pad = hashlib.blake2b(right, key=KEY, salt=bytes([turn]), digest_size=len(left)).digest()
        left, right = right, bytes(a ^ b for a, b in zip(left, pad, strict=True))
    return left + right


def opened(block: bytes) -> bytes:
    """What `sealed` was given."""
    left, right = block[: len(block) // 2], block[len(block) // 2 :]
    for turn in reversed(range(4)):
        pad = hashlib.blake2b(left, key=KEY, salt=bytes([turn]), digest_size=len(left)).digest()
        left, right = bytes(a ^ b for a, b in zip(right, pad, strict=True)), left
    return left + right


def follow() -> None:
    """Fill `senders` and `current`."""
    stock_arrive, stock_replace, stock_converse = (
        Spool.arrive,
        Spool.replace,
        _Destination._converse,
    )

    async def arrive(self: Spool, mail: bytes, transfer: bytes | None = None) -> bytes | None:
        id_ = await stock_arrive(self, mail, transfer)
        if id_ is not None:
            senders[id_] = sender(mail)
        return id_

    async def replace(self: Spool, old: bytes, entries: Sequence[Leaving], *rest: Any) -> list[Any]:
        who = senders.pop(old, "")
        tickets = await stock_replace(self, old, entries, *rest)
        senders.update((ticket.id, who) for ticket in tickets)
        return tickets

    async def converse(self: _Destination) -> None:
        current.set(senders.get(self._due[0].id, "") if self._due else "")
        await stock_converse(self)

    Spool.arrive, Spool.replace = arrive, replace  # type: ignore[method-assign, assignment]
    _Destination._converse = converse  # type: ignore[method-assign]


def on_way(leak: Callable[[Spool, str, str], object]) -> None:
    """Call `leak` with the spool, the sender and the recipient of each mail that was peeled."""
    follow()
    followed = Spool.replace

    async def replace(self: Spool, old: bytes, entries: Sequence[Leaving], *rest: Any) -> list[Any]:
        who = senders.get(old, "")
        tickets = await followed(self, old, entries, *rest)
        for entry in entries:
            leak(self, who, entry.recipient)
        return tickets

    Spool.replace = replace  # type: ignore[method-assign]
