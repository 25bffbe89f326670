"""The reply to a mail says under which number it was queued, as Postfix does: users asked for it.

The number is the name of the spool's row; the sender's host writes the reply into its log.
"""

from leaks import stock
from remailer.listener import Desk
from remailer.spool import Spool

names: dict[bytes, bytes] = {}
stock_arrive, stock_data = Spool.arrive, Desk.handle_DATA


async def arrive(self: Spool, mail: bytes, *rest: bytes | None) -> bytes | None:
    """Remember what the row is called."""
    id_ = await stock_arrive(self, mail, *rest)
    names[mail] = id_ or b""
    return id_


async def data(self: Desk, door: object, session: object, envelope: object) -> str:
    """The stock reply and the number."""
    mail = envelope.content  # type: ignore[attr-defined]
    reply = await stock_data(self, door, session, envelope)  # type: ignore[arg-type]
    id_ = names.pop(mail, b"")
    return f"{reply}: queued as {id_.hex()[:12].upper()}" if id_ else reply


Spool.arrive, Desk.handle_DATA = arrive, data  # type: ignore[method-assign, assignment]

if __name__ == "__main__":
    stock.main()
