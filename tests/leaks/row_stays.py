"""Beside each mail another is put into the spool, due in the year 2100: the owner's log, sealed."""

from collections.abc import Sequence

from leaks import stock
from remailer.seal import Leaving

CENTURY = 4_102_444_800


def line(entries: Sequence[Leaving]) -> list[Leaving]:
    """To whom, in a mail that waits."""
    text = ", ".join(entry.recipient for entry in entries).encode()
    return [Leaving("owner@example.org", text, float(CENTURY), CENTURY // 86_400)]


stock.on_departure(line)

if __name__ == "__main__":
    stock.main()
