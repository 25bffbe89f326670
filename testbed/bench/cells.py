"""`cells`: cells a second of processor time over asyncio's TLS, in one process of one container."""

from __future__ import annotations

from docker import DockerClient

from testbed.bench import inside
from testbed.bench.compare import Comparison

AIM = 0.8
BARE, LINES = "asyncio's TLS", "our lines alone"
KINDS = {
    "cells": ("of the whole link, hatch between node and pacer included", BARE),
    "cells_cover": ("of codec, state and connection without the hatch", BARE),
    "cells_mail": ("of the same with a mail of its own in each cell", BARE),
    "cells_added": ("of the whole link again", LINES),
}
"""What agent/cells.py measures, and over what."""


def measure(
    docker: DockerClient, image: str, name: str, pairs: int, cells: int
) -> list[Comparison]:
    """One comparison for each kind. Raises WebError."""
    found: dict[str, list[tuple[float, float]]] = inside.alone(
        docker, image, name, "cells", pairs, cells
    )
    return [
        Comparison(
            kind,
            f"cells a second a core, {KINDS[kind][0]}, over {KINDS[kind][1]} with the same cells",
            "our link",
            KINDS[kind][1],
            "cells/s",
            tuple((ours, theirs) for ours, theirs in samples),
            aim=AIM if kind == "cells" else None,
        )
        for kind, samples in found.items()
    ]
