"""Before it speaks TLS to a peer the node tries without: the mail goes out in clear, then again."""

import asyncio

from leaks import stock
from remailer.link.smtp import Conversation, Outcome

stock_send = Conversation.send


async def send(self: Conversation, recipient: str, mail: bytes) -> Outcome:
    """Say it in clear to those who would have spoken TLS, then as it should be."""
    if self.certificate:
        client = self._client
        _, writer = await asyncio.open_connection(client.hostname, client.port)
        writer.write(b"MAIL FROM:<>\r\nRCPT TO:<%b>\r\nDATA\r\n" % recipient.encode() + mail)
        try:
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        except OSError:
            pass  # the peer hangs up on what isn't TLS: the wire has it all the same
    return await stock_send(self, recipient, mail)


Conversation.send = send  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
