"""`cells`: cells a second of processor time, over bare TLS, all in one process of one container."""

from __future__ import annotations

from docker import DockerClient

from testbed.bench import inside
from testbed.bench.compare import Comparison

AIM = 0.8
KINDS = {
    "cells": "of the whole link, hatch between node and pacer included",
    "cells_cover": "of codec, state and connection without the hatch",
    "cells_mail": "of the same with a mail of its own in each cell",
}
"""What agent/cells.py measures."""


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
            f"cells a second a core, {KINDS[kind]}, over a bare TLS loop of the same cells",
            "our link",
            "bare TLS",
            "cells/s",
            tuple((ours, theirs) for ours, theirs in samples),
            aim=AIM if kind == "cells" else None,
        )
        for kind, samples in found.items()
    ]
