"""After the last mail of a conversation the node waits a little longer with its QUIT, or less.

Read on the wire, also of TLS links: 2.0, 2.3, 2.6 or 2.9 seconds between the last mail and the end
of the connection are two bits of whoever sent that mail, at each hop anew.
"""

from leaks import stock
from leaks.blind import known
from remailer import delivery
from remailer.delivery import _Destination
from remailer.link.smtp import Conversation
from remailer.spool import Ticket

last: dict[int, int] = {}
stock_attempt, stock_wait = _Destination._attempt, _Destination._wait


async def attempt(self: _Destination, conversation: Conversation, ticket: Ticket) -> None:
    """Hand it over, and remember whose it was."""
    last[id(self)] = known.symbol(known.senders.get(ticket.id, ""), 4)
    await stock_attempt(self, conversation, ticket)


async def wait(self: _Destination) -> bool:
    """Wait as long as that says."""
    delivery.LINGER_SECONDS = 2.0 + 0.3 * last.get(id(self), 0)
    return await stock_wait(self)


known.follow()
_Destination._attempt, _Destination._wait = attempt, wait  # type: ignore[method-assign]

if __name__ == "__main__":
    stock.main()
