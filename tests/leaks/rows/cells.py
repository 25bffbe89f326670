"""Leaks in cells and their links; those that only statistics see: testbed/attack/physical.py."""

from testbed.leaks.plant import Plant

CELLS = (
    Plant(
        "cover_stops",
        "careless",
        "link-cells",
        "cells",
        r"without a cell, while other nodes went on",
    ),
    Plant(
        "two_sizes",
        "careless",
        "link-cells",
        "cells",
        r"frame \d+: a record of 8017 bytes",
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
        everywhere=True,
    ),
    Plant(
        "caller_by_address",
        "careless",
        "link-refuses",
        "stranger",
        r"let in",
        also=frozenset({"link-pinned"}),
        # It never comes to the prober with the right key, whose cells are the control.
        perhaps=frozenset({"link-cells"}),
    ),
    Plant(
        "line_renewed",
        "technical",
        "link-cells",
        "cells",
        r"frame \d+: it hung up after \d+ cells",
    ),
    Plant(
        "cell_pieces",
        "malicious",
        "link-cells",
        "cells",
        r"frame \d+: a cell in \d+ packets, cut after 4096 bytes",
    ),
    Plant(
        "cell_ttl",
        "malicious",
        "wire-fields",
        "field",
        r"frame \d+.*ip\.ttl 63, else 64",
        also=frozenset({"silent-sockets"}),
    ),
    Plant(
        "empty_calls",
        "malicious",
        "link-cells",
        "cells",
        r"frame \d+.*calls, though there is a link",
    ),
    Plant(
        "tick_order",
        "malicious",
        "link-ticks",
        "ticks",
        r"out of turn in \d+ of \d+ ticks",
    ),
    Plant(
        "tick_left_out",
        "malicious",
        "link-ticks",
        "ticks",
        r"left out in \d+ of \d+ ticks",
    ),
    Plant(
        "timing_bits",
        "malicious",
        "link-ticks",
        "ticks",
        r"(late|out of turn) in \d+ of \d+ ticks",
    ),
    Plant(
        "padding_bits",
        "malicious",
        "link-cells",
        "cells",
        r"frame \d+",
        everywhere=True,
        missed="padding is inside TLS, so that no wire shows it; a stock peer refuses such a cell "
        "and hangs up (docs/link.md), and a peer in league is told no more than what it is given "
        "anyway, and how much went elsewhere",
    ),
    Plant(
        "unpushed_cells", "malicious", "link-cells", "cells", r"frame \d+: a cell ends without PSH"
    ),
)
