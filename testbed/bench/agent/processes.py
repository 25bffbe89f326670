"""What a node's threads and processes have cost so far: run in its PID namespace, as a stranger.

Prints one line of JSON. Process 1 is the node; its children are the peeling workers. Of those that
were replaced the kernel keeps the sum. Times in seconds, memory in bytes.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

_TICK = 1 / os.sysconf("SC_CLK_TCK")
_PPID, _UTIME, _STIME, _CUTIME, _CSTIME = 1, 11, 12, 13, 14
"""Fields of stat (proc(5)) after the name in brackets, counted from 0."""


def stat(path: Path) -> list[str]:
    """The fields after the name, which may have blanks and brackets in it."""
    return (path / "stat").read_text().rpartition(")")[2].split()


def seconds(fields: list[str], *which: int) -> float:
    """The sum of these fields, which are ticks."""
    return sum(int(fields[number]) for number in which) * _TICK


def memory(path: Path, name: str) -> int:
    """A size from status: resident now (VmRSS), or at most so far (VmHWM)."""
    found = [line for line in (path / "status").read_text().splitlines() if line.startswith(name)]
    return int(found[0].split()[1]) * 1024 if found else 0


def main() -> None:
    """Look once."""
    node = Path("/proc/1")
    workers = [
        path for path in Path("/proc").iterdir() if path.name.isdigit() and stat(path)[_PPID] == "1"
    ]
    threads = {task.name: seconds(stat(task), _UTIME, _STIME) for task in (node / "task").iterdir()}
    print(
        json.dumps(
            {
                "loop": threads.pop("1"),
                "threads": threads,
                "workers": sum(seconds(stat(worker), _UTIME, _STIME) for worker in workers),
                "replaced": seconds(stat(node), _CUTIME, _CSTIME),
                "resident": sum(memory(path, "VmRSS") for path in (node, *workers)),
                "peak": sum(memory(path, "VmHWM") for path in (node, *workers)),
            }
        )
    )


if __name__ == "__main__":
    main()
