"""fanotify(7) mount marks on a node's mounts: each file that is written to, as it is written to.

A mark is set from outside, on /proc/PID/root, and sees the writes of every process there, of
children too. The event has the file itself, so that one that has lost its name can still be read.
What has no data is not seen: names, links, attributes, memory files (agent/calls.py sees these).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# linux/fanotify.h
_CLOEXEC, _UNLIMITED_QUEUE, _UNLIMITED_MARKS, _NONBLOCK = 0x1, 0x10, 0x20, 0x2
_MODIFY, _CLOSE_WRITE, _OVERFLOW = 0x2, 0x8, 0x4000
_ADD, _MOUNT, _IGNORED, _FOR_GOOD = 0x1, 0x10, 0x20, 0x40
_AT_FDCWD = -100
_METADATA = struct.Struct("=IBBHQii")
_BUFFER = 1 << 16

PIECE = 4096
"""Bytes of a file's beginning and of its end that an event tells."""


NEEDS = (
    "the witness needs CAP_SYS_ADMIN on the machine itself: rootful Docker, and up without "
    "WITNESS=plain"
)


class Refused(Exception):
    """The kernel lets us watch nothing, and why."""


@dataclass(frozen=True)
class Written:
    """One event: a file as it was when we read of it; its path as its mount has it."""

    pid: int
    path: str
    device: str
    """Major and minor number of its file system, as in mountinfo."""
    uid: int
    kind: str
    """`file`, `device`, or `overflow` for events that the kernel had to drop."""
    size: int
    head: bytes
    tail: bytes


class Marks:
    """One group of marks, for one node."""

    def __init__(self) -> None:
        """Raises Refused."""
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.fanotify_init(
            _CLOEXEC | _NONBLOCK | _UNLIMITED_QUEUE | _UNLIMITED_MARKS,
            os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_LARGEFILE", 0),
        )
        if self._fd < 0:
            raise Refused(_why("fanotify_init"))

    def fileno(self) -> int:
        """For selectors."""
        return int(self._fd)

    def mark(self, path: str) -> None:
        """Watch the mount that this path is in. Raises Refused."""
        self._mark(_ADD | _MOUNT, path)

    def pass_over(self, path: str) -> None:
        """No more events of the file at this path, for good. Raises Refused."""
        self._mark(_ADD | _IGNORED | _FOR_GOOD, path)

    def _mark(self, flags: int, path: str) -> None:
        mask = ctypes.c_uint64(_MODIFY | _CLOSE_WRITE)
        if self._libc.fanotify_mark(self._fd, flags, mask, _AT_FDCWD, os.fsencode(path)) < 0:
            raise Refused(_why("fanotify_mark"))

    def read(self, declared: frozenset[str]) -> Iterator[Written]:
        """Events that wait. Files of these names are told once, without contents, then no more."""
        try:
            data = os.read(self._fd, _BUFFER)
        except BlockingIOError:
            return
        at = 0
        while at < len(data):
            length, _, _, _, mask, fd, pid = _METADATA.unpack_from(data, at)
            at += length
            if mask & _OVERFLOW or fd < 0:
                yield Written(0, "", "", 0, "overflow", 0, b"", b"")
                continue
            try:
                yield self._written(pid, fd, declared)
            finally:
                os.close(fd)

    def _written(self, pid: int, fd: int, declared: frozenset[str]) -> Written:
        link = f"/proc/self/fd/{fd}"
        path = str(Path(link).readlink()).removesuffix(" (deleted)")
        found = os.fstat(fd)
        kind = "file" if stat.S_ISREG(found.st_mode) else "device"
        device = f"{os.major(found.st_dev)}:{os.minor(found.st_dev)}"
        head = tail = b""
        if path in declared:
            with contextlib.suppress(Refused):
                self.pass_over(link)
        elif kind == "file":
            with contextlib.suppress(OSError):
                head = os.pread(fd, PIECE, 0)
                tail = os.pread(fd, PIECE, max(len(head), found.st_size - PIECE))
        return Written(pid, path, device, found.st_uid, kind, found.st_size, head, tail)


def _why(call: str) -> str:
    number = ctypes.get_errno()
    if number == errno.EPERM:
        return f"{call}: not permitted: {NEEDS}"
    return f"{call}: {os.strerror(number)}"
