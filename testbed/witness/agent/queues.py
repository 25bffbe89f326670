"""What lies in the pipes and Unix sockets of a node's processes, and nobody reads: bytes in memory.

Each end is duplicated for a moment to ask how much it holds; nothing is ever read from it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import socket
import sys
import termios
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from testbed.witness.agent import kernelfacts, processfacts, walk

LOOKS = 50
"""At most: processes of the node tell each other things, but a log lies there at each look."""
EMPTY = 3
"""Looks that have to find all ends empty at once: a log may be passed on from one end to another,
and one look is no moment but asks one end after the other."""
AGAIN = 0.1
"""Seconds between two looks."""

_LIBC = ctypes.CDLL(None, use_errno=True)
_PIDFD_GETFD = 438
"""pidfd_getfd(2) has no wrapper; its number is the same on every machine."""
_GONE = (errno.EBADF, errno.ESRCH)

Found = dict[str, dict[str, Any]]
"""By inode: process, fd, target and bytes of one end."""


def of_node(pid: int, uid: int) -> dict[str, Any]:
    """asked (how many ends), kept [{process, command, fd, target, bytes}], control; or why.

    `uid`: the node's own; a mail host beside it counts its mail in a pipe.
    """
    looks: list[Found] = []
    ours: list[Found] = []
    try:
        with _control() as mine:
            while len(looks) < LOOKS and not clean(looks):
                if looks:
                    time.sleep(AGAIN)
                pids = [
                    one for one in processfacts.of_container(pid) if processfacts.uid(one) == uid
                ]
                looks.append(_look(pids, kernelfacts.sockets(pid)))
                here = _look([os.getpid()], dict.fromkeys(mine, "unix"))
                ours.append({inode: here[inode] for inode in mine if inode in here})
    except OSError as error:
        return {"why": f"they can't be asked ({error.strerror})"}
    return {
        "asked": max(map(len, looks)),
        "kept": [end | {"command": walk.command(end["process"])} for end in unread(looks)],
        "control": [end["bytes"] for end in unread(ours)] == [1, 1],
    }


def clean(looks: Sequence[Found]) -> bool:
    """Whether enough looks found all ends empty at once."""
    return sum(not _full(look) for look in looks) >= EMPTY


def unread(looks: Sequence[Found]) -> list[dict[str, Any]]:
    """What was full at the last look that found anything, if it isn't clean."""
    return [] if clean(looks) else next(filter(None, map(_full, reversed(looks))), [])


def _full(ends: Found) -> list[dict[str, Any]]:
    return [end for end in ends.values() if end["bytes"]]


@contextlib.contextmanager
def _control() -> Iterator[list[str]]:
    """A pipe and a pair of sockets of ours with a byte in each: the inodes where it is."""
    out, into = os.pipe()
    one, other = socket.socketpair()
    try:
        os.write(into, b"x")
        one.send(b"x")
        yield [str(os.fstat(fd).st_ino) for fd in (out, other.fileno())]
    finally:
        os.close(out)
        os.close(into)
        one.close()
        other.close()


def _look(pids: Iterable[int], sockets: Mapping[str, str]) -> Found:
    """Each pipe and Unix socket of the processes. Raises OSError if they can't be asked."""
    found: Found = {}
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):  # it has ended
            process = os.pidfd_open(pid)
            try:
                for path in Path(f"/proc/{pid}/fd").iterdir():
                    with contextlib.suppress(FileNotFoundError):
                        target = str(path.readlink())
                        inode = target.partition(":[")[2].rstrip("]")
                        if inode not in found and _asked(target, sockets.get(inode, "")):
                            size = _held(process, int(path.name), inode)
                            found[inode] = {
                                "process": str(pid), "fd": path.name, "target": target,
                                "bytes": size,
                            }  # fmt: skip
            finally:
                os.close(process)
    return found


def _asked(target: str, kind: str) -> bool:
    return target.startswith("pipe:[") or (target.startswith("socket:[") and kind[:4] == "unix")


def _held(process: int, number: int, inode: str) -> int:
    """Bytes in an end that a process (a pidfd) has under this number; 0 when it is gone."""
    fd = _LIBC.syscall(_PIDFD_GETFD, process, number, 0)
    if fd < 0:
        code = ctypes.get_errno()
        if code in _GONE:
            return 0
        raise OSError(code, os.strerror(code))
    try:
        if str(os.fstat(fd).st_ino) != inode:
            return 0
        # Of a socket also what its other end hasn't read: a datagram may have no bytes at all.
        return _number(fd, termios.FIONREAD) or _number(fd, termios.TIOCOUTQ)
    finally:
        os.close(fd)


def _number(fd: int, request: int) -> int:
    """What an ioctl answers; 0 where there is no such question (a pipe's, a listening socket's)."""
    with contextlib.suppress(OSError):
        return int.from_bytes(fcntl.ioctl(fd, request, bytes(4)), sys.byteorder)
    return 0
