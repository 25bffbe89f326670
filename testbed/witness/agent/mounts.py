"""What a process sees mounted, from /proc/PID/mountinfo. Nothing here does I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

KERNEL = frozenset(
    {"proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue", "securityfs", "debugfs", "tracefs"}
)
"""File systems that hold the kernel's own files and nobody's data (mqueue is listed apart)."""

MEMORY = frozenset({"tmpfs", "ramfs", "devtmpfs", "hugetlbfs"})


@dataclass(frozen=True)
class Mount:
    """One line of mountinfo (proc_pid_mountinfo(5))."""

    device: str
    """Major and minor number of the file system."""
    root: str
    """What of the file system is mounted."""
    point: str
    """Where, as the process sees it."""
    writable: bool
    fstype: str

    @property
    def kind(self) -> str:
        """`root`, `kernel`, `mqueue`, `tmpfs`, or `disk` for volumes and binds."""
        if self.point == "/":
            return "root"
        if self.fstype == "mqueue":
            return "mqueue"
        if self.fstype in KERNEL:
            return "kernel"
        return "tmpfs" if self.fstype in MEMORY else "disk"


def parse(mountinfo: str) -> list[Mount]:
    """All mounts that can be reached: of several at one point only the last."""
    return list({mount.point: mount for mount in _lines(mountinfo.splitlines())}.values())


def _lines(lines: Iterable[str]) -> Iterator[Mount]:
    for line in lines:
        left, _, right = line.partition(" - ")
        fields, more = left.split(" "), right.split(" ")
        # Read-only for the mount or for the file system as a whole.
        writable = "ro" not in (*fields[5].split(","), *more[2].split(","))
        yield Mount(fields[2], _unescape(fields[3]), _unescape(fields[4]), writable, more[0])


def _unescape(text: str) -> str:
    """Blanks, line ends and backslashes are written as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
