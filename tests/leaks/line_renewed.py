"""Every mail gets fresh keys: once it has gone the link is hung up, and called anew."""

from leaks import stock
from remailer.link.paced import Messages
from remailer.link.smtp import Outcome

stock_send = Messages.send


async def send(self: Messages, recipient: str, mail: bytes) -> Outcome:
    """Hand it over, then break the connection."""
    outcome = await stock_send(self, recipient, mail)
    self._link.hang_up(self._pair)
    return outcome


Messages.send = send  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
