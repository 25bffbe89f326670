"""Message-IDs come from the kernel as before; but some are drawn again, until they say who sent it.

Read by the recipient, or by the next remailer if it is the same owner's: the first byte of the
Message-ID's HMAC under the key, modulo 8, is three bits of whoever the mail came from.
"""

import hmac
import random

from leaks import stock
from leaks.blind import known
from remailer import outgoing, peel
from remailer.outgoing import Outgoing

stock_peel, stock_id = peel.peel, outgoing.message_id
whose = [""]


def note(raw: bytes, *args: object, **more: object) -> tuple[Outgoing, ...]:
    """Peel, knowing who it is from."""
    whose[0] = known.sender(raw)
    return stock_peel(raw, *args, **more)  # type: ignore[arg-type]


def message_id(address: str, rng: random.Random) -> str:
    """One of the many that would do."""
    wanted = known.symbol(whose[0], 8)
    while True:
        made = stock_id(address, rng)
        if hmac.digest(known.KEY, made.encode(), "sha256")[0] % 8 == wanted:
            return made


peel.peel, outgoing.message_id = note, message_id  # type: ignore[assignment]

if __name__ == "__main__":
    stock.main()
