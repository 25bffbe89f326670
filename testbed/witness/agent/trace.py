"""Job `trace`: the system calls of the nodes that tell when a mail is on disk, as strace sees them.

Task: nodes {name: pid}, within (seconds), end (a text: a node that has read it is done). Answers:
`{"attached": [names]}` as soon as strace says so of all, or of those it could; then for each node
its lines, or `why`.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

CALLS = (
    "recvfrom,recvmsg,read,readv,sendto,sendmsg,write,writev,pwrite64,pwritev,pwritev2,"
    "fsync,fdatasync"
)
LONGEST = 32768
"""Bytes of a buffer that are shown; a probe's mail is shorter."""


LEAVE_WITHIN = 2.0
"""Seconds that strace may take to detach."""


@dataclass
class Traced:
    """One strace, and what it has said so far."""

    process: subprocess.Popen[bytes]
    said: bytes = b""
    attached: bool = False
    ended: bool = False
    closed: bool = False

    def take(self, data: bytes, end: bytes) -> None:
        """More of its output; none is the end of it."""
        self.closed = not data
        searched = max(0, len(self.said) - len(end) - 20)
        self.said += data
        self.attached = self.attached or b" attached" in self.said
        self.ended = self.ended or end in self.said[searched:]


def run(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Attach to all nodes at once, tell so, and read until all are done or the time is over."""
    deadline = time.monotonic() + task["within"]
    end = task["end"].encode()
    traced: dict[str, Traced] = {}
    try:
        for name, pid in task["nodes"].items():
            traced[name] = Traced(_strace(pid))
        _read(traced, end, deadline, lambda one: one.attached)
        yield {"attached": [name for name, one in traced.items() if one.attached]}
        _read(traced, end, deadline, lambda one: one.ended or not one.attached)
    finally:
        for one in traced.values():
            one.process.terminate()
    _read(traced, end, deadline + LEAVE_WITHIN, lambda one: False)
    for name, one in traced.items():
        if not one.closed:
            one.process.kill()  # it waits for a process that Docker has paused
        one.process.wait()
        lines = one.said.decode("ascii", "replace").splitlines()
        if one.attached:
            yield {"node": name, "lines": lines}
        else:
            yield {"node": name, "why": f"strace: {lines[-1] if lines else 'no word'}"}


def _strace(pid: int) -> subprocess.Popen[bytes]:
    # -y names files and sockets; on SIGTERM strace detaches, and the node goes on.
    argv = ["strace", "-f", "-y", "-s", str(LONGEST), "-e", f"trace={CALLS}", "-e", "signal=none"]
    return subprocess.Popen(
        [*argv, "-p", str(pid)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def _read(
    traced: dict[str, Traced], end: bytes, deadline: float, enough: Callable[[Traced], bool]
) -> None:
    """Read what all of them say, until there is enough of each, or the time is over."""
    with selectors.DefaultSelector() as selector:
        for one in traced.values():
            if not one.closed and one.process.stderr:
                selector.register(one.process.stderr, selectors.EVENT_READ, one)
        while any(not one.closed and not enough(one) for one in traced.values()):
            left = deadline - time.monotonic()
            if left <= 0:
                return
            for key, _ in selector.select(left):
                one = key.data
                one.take(os.read(key.fd, 1 << 16), end)
                if one.closed:
                    selector.unregister(key.fileobj)
