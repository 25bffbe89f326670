"""Size: each layer makes a mail smaller by what everybody knows (Back, Möller, Stiglic 2001)."""

from __future__ import annotations

import random

from testbed.attack import match
from testbed.attack.observation import Observation


def guess(seen: Observation, rng: random.Random) -> dict[int, str]:
    """The assignment that fits all sizes best; times aren't looked at."""
    rooms = match.at_hops(seen)
    return match.named(rooms, match.sizes(rooms), rng)
