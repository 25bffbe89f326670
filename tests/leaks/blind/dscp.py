"""Conversations get a class of service by whose mail they are for, so that routers can be fair.

Read on the wire: the six bits of DSCP are a number of the sender's, at each hop.
"""

import socket
from typing import Any

from leaks import stock
from leaks.blind import known
from remailer.link.smtp import Conversation

stock_begin = Conversation.begin.__func__  # type: ignore[attr-defined]


async def begin(cls: type[Conversation], *args: Any, **more: Any) -> Conversation:
    """Begin, then mark all that follows."""
    conversation: Conversation = await stock_begin(cls, *args, **more)
    wire = conversation._client.get_transport_info("socket")
    if wire is not None and wire.family == socket.AF_INET:
        wire.setsockopt(
            socket.IPPROTO_IP, socket.IP_TOS, known.symbol(known.current.get(), 64) << 2
        )
    return conversation


known.follow()
Conversation.begin = classmethod(begin)  # type: ignore[method-assign, assignment]

if __name__ == "__main__":
    stock.main()
