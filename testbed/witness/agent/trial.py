"""What the recorder has to see in the same run: tried inside a node's namespaces, by a process of
our own, which leaves nothing behind.

`python3 -m testbed.witness.agent.trial PID TOKEN`: a file in each folder that can be written to,
made and deleted at once; a memory file, a name and an attribute that the kernel refuses; a mask for
files that it won't make; a datagram on the node's loopback.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import subprocess
import sys
from pathlib import Path

from testbed.witness.agent import walk

CALLS = frozenset({"memfd_create", "mkdir", "setxattr", "sendto"})
"""The calls that are tried and told one by one; of those that are counted `umask` and `socket`."""

NOWHERE = "/proc/"
"""Where no process can make a name or set an attribute."""

LOOPBACK = ("127.0.0.1", 9)
"""Where the datagram goes: nobody listens there."""


def begin(pid: int, token: str) -> subprocess.Popen[bytes]:
    """Start trying, in a process that may change its namespaces."""
    argv = [sys.executable, "-m", "testbed.witness.agent.trial", str(pid), token]
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def folders(pid: int) -> list[str]:
    """The node's mounts that a file can be put into."""
    with contextlib.suppress(walk.Unseen):
        return [
            mount.point
            for mount in walk.mounts(pid)
            if mount.writable
            and mount.kind not in {"kernel", "mqueue"}
            and _writable(pid, mount.point)
        ]
    return []


def _writable(pid: int, point: str) -> bool:
    with contextlib.suppress(OSError):
        mode = Path(walk.inside(pid, point)).stat().st_mode
        # Without any bit for writing not even root gets in (the old cgroups' folder of folders).
        return bool(mode & 0o222) and Path(walk.inside(pid, point)).is_dir()
    return False


def _files(pid: int, token: str) -> None:
    """A file in each folder, for a moment."""
    for mount in walk.mounts(pid):
        if mount.point in folders(pid):
            with contextlib.suppress(walk.Unseen), walk.control_file(pid, mount, token.encode()):
                pass


def _calls(pid: int, token: str) -> None:
    """Calls made from inside the node's mount and network namespaces."""
    libc = ctypes.CDLL(None, use_errno=True)
    with socket.socket(socket.AF_UNIX):
        pass  # what this needs is imported before there is another root
    for kind in ("net", "mnt"):
        with open(f"/proc/{pid}/ns/{kind}", "rb") as namespace:  # noqa: PTH123
            os.setns(namespace.fileno(), 0)  # type: ignore[attr-defined]
    name = f"{walk.CONTROL}{token}"
    os.close(os.memfd_create(name))
    os.umask(0o22)
    with contextlib.suppress(OSError):
        os.mkdir(NOWHERE + name)  # noqa: PTH102
    libc.setxattr(f"{NOWHERE}{name}".encode(), b"user.x", b"", 0, 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours, contextlib.suppress(OSError):
        ours.sendto(b"", LOOPBACK)


if __name__ == "__main__":
    for tried in (_files, _calls):
        with contextlib.suppress(OSError, walk.Unseen):
            tried(int(sys.argv[1]), sys.argv[2])
