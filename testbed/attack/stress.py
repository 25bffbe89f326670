"""A machine that is busy with something else: what a pacer must not let the wire see."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

A_CORE = 2
"""Processes that only compute, for each core."""
_BUSY = """
import os, sys
while os.getppid() == int(sys.argv[1]):
    sum(range(100_000))
"""
"""Ends with its parent, however that ends."""


@contextmanager
def stressed() -> Iterator[str]:
    """As long as this lasts, they run; what is said of it."""
    count = A_CORE * (os.cpu_count() or 1)
    busy: list[subprocess.Popen[bytes]] = []
    try:
        for _ in range(count):
            busy.append(subprocess.Popen([sys.executable, "-I", "-c", _BUSY, str(os.getpid())]))
        yield f"{count} processes that only compute"
    finally:
        for one in busy:
            one.kill()
            one.wait()
