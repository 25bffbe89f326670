"""A machine that is busy with something else: what a pacer must not let the wire see."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

A_CORE = 2
"""Processes that only compute, for each core."""


@contextmanager
def stressed() -> Iterator[str]:
    """As long as this lasts, they run; what is said of it."""
    count = A_CORE * (os.cpu_count() or 1)
    busy = [
        subprocess.Popen([sys.executable, "-I", "-c", "while True: pass"]) for _ in range(count)
    ]
    try:
        yield f"{count} processes that only compute"
    finally:
        for one in busy:
            one.kill()
            one.wait()
