"""What delivery asks of a conversation, whatever the link."""

from __future__ import annotations

from typing import Protocol

from remailer.link.smtp import Outcome


class Talk(Protocol):
    """Mails go over it one after the other."""

    async def send(self, recipient: str, mail: bytes) -> Outcome:
        """Hand over one mail. Raises Unreachable when the line broke: then it may have arrived."""

    async def end(self) -> None:
        """Say that there is no more; never fails."""

    def close(self) -> None:
        """Hang up."""
