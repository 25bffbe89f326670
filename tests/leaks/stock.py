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

__all__ = ["author", "bit", "main", "on_arrival", "on_departure", "on_outgoing", "row_of_its_own"]


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


def row_of_its_own(name: bytes, sealed: Callable[[Spool], bytes]) -> None:
    """Let a row that is no mail's lie in the spool from the first start, before any mail comes, and
    be written anew in place with each mail, in the same transaction."""
    contents, insert = Spool.contents, Spool._insert

    async def begun(self: Spool) -> Any:
        found = await contents(self)
        await self._commits.do(
            lambda db: db.execute("INSERT INTO spool VALUES (?, ?)", (name, sealed(self))) and None
        )
        return found

    def put(self: Spool, db: Any, entry: Any) -> bytes:
        db.execute("UPDATE spool SET sealed = ? WHERE id = ?", (sealed(self), name))
        return insert(self, db, entry)

    Spool.contents, Spool._insert = begun, put  # type: ignore[method-assign]


def author(raw: bytes) -> bytes:
    """Who wrote the mail, as its From says."""
    found = re.search(rb"(?im)^from:[^\r\n]*?([\w.+-]+@[\w.-]+)", raw)
    return found[1] if found else b"nobody"


def bit(raw: bytes) -> int:
    """One bit of who wrote the mail."""
    return hashlib.sha256(author(raw)).digest()[0] & 1
