"""A bench's results as a value, and as bench.json. No I/O here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from testbed.bench.compare import Comparison
from testbed.bench.cost import Cost

SCHEMA = 1
"""Version of bench.json; it changes when an older reader would misunderstand a newer file."""


@dataclass(frozen=True)
class Bench:
    """Everything that a run of `make bench` found, on which machine and with what."""

    started: datetime
    seconds: float
    seed: int
    comparisons: tuple[Comparison, ...]
    cost: Cost | None
    machine: dict[str, str]
    """What a ratio may depend on; nothing that names the machine."""
    versions: dict[str, str]

    @property
    def missed(self) -> Sequence[Comparison]:
        """Those that have an aim and don't reach it."""
        return [one for one in self.comparisons if one.reached is False]

    def as_dict(self) -> dict[str, Any]:
        """bench.json: each comparison by its id, with its `ratio`."""
        return {
            "schema": SCHEMA,
            "started": self.started.isoformat(timespec="seconds"),
            "seconds": round(self.seconds, 1),
            "seed": self.seed,
            "machine": self.machine,
            "versions": self.versions,
            "comparisons": {one.id: one.as_dict() for one in self.comparisons},
            "processor_time": self.cost.as_dict() if self.cost else None,
        }


def to_json(bench: Bench) -> str:
    """The file's text."""
    return json.dumps(bench.as_dict(), indent=1) + "\n"
