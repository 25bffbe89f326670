"""Leaks in the links of cells; those that only statistics see are in testbed/attack/physical.py."""

from testbed.leaks.plant import Plant
from testbed.topology import Link

CELLS = (
    Plant(
        "cover_stops",
        "careless",
        "link-cells",
        "cells",
        r"without a cell, while other nodes went on",
        link=Link.CELLS,
    ),
    Plant(
        "two_sizes",
        "careless",
        "link-cells",
        "cells",
        r"frame \d+: a record of 8017 bytes",
        link=Link.CELLS,
    ),
    Plant(
        "cells_unpadded",
        "careless",
        "link-cells",
        "cells",
        r"frame \d+: a record of \d+ bytes",
        # The prober speaks stock cells: what waits for it stays, and nobody sees it let in.
        perhaps=frozenset({"spool-forgets", "link-refuses", "link-pinned"})
        # Their controls count the bytes in whole cells.
        | {"link-port", "link-encrypted", "link-canary"},
        link=Link.CELLS,
        everywhere=True,
    ),
    Plant(
        "padding_bits",
        "malicious",
        "link-cells",
        "cells",
        r"frame \d+",
        link=Link.CELLS,
        everywhere=True,
        missed="padding is inside TLS, so that no wire shows it; a stock peer refuses such a cell "
        "and hangs up (docs/link.md), and a peer in league is told no more than what it is given "
        "anyway, and how much went elsewhere",
    ),
)
