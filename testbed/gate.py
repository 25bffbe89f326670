"""The gate at which nodes wait, in a shell, until the witness watches them; no image knows of it.

A node's first program reads `wait`, a pipe that nobody writes to. The gate opens for all at once:
the name `wait` becomes an empty file, so that nobody begins to wait any more (after a restart,
say), and then the pipe has a writer for a moment, which ends the reading of those who do.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

PROGRAM = """#!/bin/sh
# Waits until the witness watches, then becomes the node.
read -r _ </gate/wait
exec "$@"
"""


def close(folder: Path) -> None:
    """Make a closed gate in a folder that nodes have as /gate."""
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    (folder / "gate").write_text(PROGRAM)
    (folder / "gate").chmod(0o755)
    os.mkfifo(folder / "wait")
    (folder / "wait").chmod(0o644)


def open_(folder: Path) -> None:
    """Let all through who wait, and all who come."""
    (folder / "pipe").hardlink_to(folder / "wait")
    (folder / "open").touch(mode=0o644)
    (folder / "open").replace(folder / "wait")
    # Whoever has begun to wait has the pipe open, or is just opening it.
    with contextlib.suppress(OSError):
        os.close(os.open(folder / "pipe", os.O_WRONLY | os.O_NONBLOCK))
    (folder / "pipe").unlink()
