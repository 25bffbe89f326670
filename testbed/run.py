"""One verification run: what every witness is given."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from testbed.traffic import Letter
from testbed.web import Web
from testbed.wire.canary import Canaries


@dataclass
class Run:
    """The web, the marks of this run, the letters that were sent, and where results go."""

    web: Web
    canaries: Canaries
    out: Path
    seed: int
    letters: list[Letter] = field(default_factory=list)
    began: float = field(default_factory=time.time)
    """Seconds since 1970: a web may have carried its user's mail before."""
