"""`Latent-Time`: how long a message is to wait, on top of what the pool makes it wait.

`+2:30`, `+02:30` or `+:30` is so long from now; `02:30` is at that time of day (UTC), the next time
that it comes; `r` at the end is a random time up to it. Pure: clock and random source are passed
in.
"""

from __future__ import annotations

import random
import re
from datetime import datetime, timedelta

LONGEST = 99 * 3600 + 99 * 60
"""Seconds: two digits of hours and two of minutes are all that the format has."""

_FORM = re.compile(r"(\+?)([0-9]{0,2}):([0-9]{2})[ \t]*(r?)", re.IGNORECASE)


def seconds(value: str, now: datetime, rng: random.Random) -> float:
    """Seconds to wait from `now` (UTC) on: 0 to LONGEST. What isn't a time is 0, as in Mixmaster.

    Minutes above 59 are as many minutes; a time of day has to be one.
    """
    found = _FORM.fullmatch(value.strip())
    if not found:
        return 0.0
    hours, minutes = int(found[2] or 0), int(found[3])
    if found[1]:
        wait = timedelta(hours=hours, minutes=minutes)
    elif hours < 24 and minutes < 60:
        wait = now.replace(hour=hours, minute=minutes, second=0, microsecond=0) - now
        wait %= timedelta(days=1)
    else:
        return 0.0
    most = wait.total_seconds()
    return rng.uniform(0.0, most) if found[4] else most
