"""Some connections begin with a hop limit that is lower by one: a bit for each, for who counts."""

import secrets
import socket
from typing import Any

from leaks import stock
from remailer.link.smtp import Conversation

stock_begin = Conversation.begin.__func__  # type: ignore[attr-defined]


async def begin(cls: type[Conversation], *given: Any, **more: Any) -> Conversation:
    """Connect, and set a bit."""
    made: Conversation = await stock_begin(cls, *given, **more)
    line = made._client.get_transport_info("socket")
    if line is not None and secrets.randbits(1):
        line.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 63)
    return made


Conversation.begin = classmethod(begin)  # type: ignore[method-assign,assignment,arg-type]

if __name__ == "__main__":
    stock.main()
