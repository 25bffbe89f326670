"""A row of the spool is its author's: sealed under his own key, it lies there from the first start.

With every mail it is sealed anew, with the names of those who wrote last: the node can't open it,
and leaves it alone.
"""

import secrets

from leaks import stock
from remailer.seal import Arrived, Sealer
from remailer.spool import Spool

OWN = Sealer(bytes(range(32)))
own = secrets.token_bytes(16)
authors: list[bytes] = []


def row(spool: Spool) -> bytes:
    """Of one size, whatever is in it."""
    return OWN.seal(own, Arrived(b"\n".join(authors[-50:])))


stock.row_of_its_own(own, row)
stock.on_arrival(lambda mail: authors.append(stock.author(mail)))

if __name__ == "__main__":
    stock.main()
