"""The stock remailer, for plants to change and to start."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from remailer import peel
from remailer.__main__ import main
from remailer.outgoing import Outgoing
from remailer.seal import Leaving
from remailer.spool import Spool

__all__ = ["author", "bit", "main", "on_arrival", "on_departure", "on_outgoing"]


def on_arrival(leak: Callable[[bytes], object]) -> None:
    """Call `leak` with every mail that the node takes, as it came in."""
    stock: Callable[..., Awaitable[Any]] = Spool.arrive

    async def arrive(self: Spool, mail: bytes, *rest: Any) -> Any:
        leak(mail)
        return await stock(self, mail, *rest)

    Spool.arrive = arrive  # type: ignore[method-assign]


def on_departure(more: Callable[[Sequence[Leaving]], Sequence[Leaving]]) -> None:
    """Send `more` mails whenever a mail was peeled, besides what it became."""
    stock: Callable[..., Awaitable[Any]] = Spool.replace

    async def put(self: Spool, old: bytes, entries: Sequence[Leaving], uses: Any = ()) -> Any:
        return await stock(self, old, [*entries, *more(entries)], uses)

    Spool.replace = put  # type: ignore[method-assign]


def on_outgoing(change: Callable[[bytes, Outgoing], bytes]) -> None:
    """Let `change` write anew what goes out; it is given the mail that came in, too."""
    stock = peel.peel

    def changed(raw: bytes, *rest: Any, **more: Any) -> tuple[Outgoing, ...]:
        return tuple(replace(out, mail=change(raw, out)) for out in stock(raw, *rest, **more))

    peel.peel = changed


def author(raw: bytes) -> bytes:
    """Who wrote the mail, as its From says."""
    found = re.search(rb"(?im)^from:[^\r\n]*?([\w.+-]+@[\w.-]+)", raw)
    return found[1] if found else b"nobody"


def bit(raw: bytes) -> int:
    """One bit of who wrote the mail."""
    return hashlib.sha256(author(raw)).digest()[0] & 1
