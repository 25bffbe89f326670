"""Before a mail goes by the link the node tries without TLS: it goes out in clear, then again."""

import asyncio

from leaks import stock
from remailer.link.paced import Messages
from remailer.link.smtp import Outcome

stock_send = Messages.send


async def send(self: Messages, recipient: str, mail: bytes) -> Outcome:
    """Say it in clear to those who would have had it in cells, then as it should be."""
    peer = self._pair.party
    assert not peer.guest
    _, writer = await asyncio.open_connection(peer.hosts[0], peer.link_port)
    writer.write(b"MAIL FROM:<>\r\nRCPT TO:<%b>\r\nDATA\r\n" % recipient.encode() + mail)
    try:
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    except OSError:
        pass  # the peer hangs up on what isn't TLS: the wire has it all the same
    return await stock_send(self, recipient, mail)


Messages.send = send  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
