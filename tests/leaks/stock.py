"""The stock remailer, for plants to change and to start."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from remailer.__main__ import main
from remailer.spool import Spool

__all__ = ["main", "on_arrival"]


def on_arrival(leak: Callable[[bytes], object]) -> None:
    """Call `leak` with every mail that the node takes, as it came in."""
    stock: Callable[..., Awaitable[Any]] = Spool.arrive

    async def arrive(self: Spool, mail: bytes, *rest: Any) -> Any:
        leak(mail)
        return await stock(self, mail, *rest)

    Spool.arrive = arrive  # type: ignore[method-assign]
