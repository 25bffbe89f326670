"""What stat tells of every name in a node's mounts, and the header of its database.

When a file was last read is left out: our own reading changes that.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import struct
from pathlib import Path
from typing import Any

from testbed.witness.agent import walk

HEADER = {
    "page size": (16, ">H"), "write version": (18, "B"), "read version": (19, "B"),
    "reserved": (20, "B"), "change counter": (24, ">I"), "pages": (28, ">I"),
    "first free page": (32, ">I"), "free pages": (36, ">I"), "schema cookie": (40, ">I"),
    "schema format": (44, ">I"), "cache size": (48, ">I"), "largest root": (52, ">I"),
    "encoding": (56, ">I"), "user version": (60, ">I"), "vacuum": (64, ">I"),
    "application id": (68, ">I"), "expansion": (72, "20s"), "valid for": (92, ">I"),
    "library": (96, ">I"),
}  # fmt: skip
"""Fields of a database's header (SQLite file format, 1.3): where, and how they are written."""

_GET_FLAGS, _FS_GET_XATTR = 0x80086601, 0x801C581F
"""ioctl_iflags(2), ioctl_fsgetxattr: what chattr sets, and the project."""


def of_mounts(pid: int) -> dict[str, dict[str, Any]]:
    """Every name in every mount that is no kernel's: path → attributes."""
    found: dict[str, dict[str, Any]] = {}
    mounts = walk.mounts(pid)
    points = frozenset(mount.point for mount in mounts)
    for mount in mounts:
        if mount.kind in {"root", "kernel"} or (mount.kind == "tmpfs" and not mount.writable):
            continue
        found |= of_file(pid, mount.point)
        for entry in walk.walk(pid, mount, points - {mount.point}):
            found |= of_file(pid, entry.path)
        if mount.kind != "disk":  # a disk is shared: what is used of it tells of everybody
            used = os.statvfs(walk.inside(pid, mount.point))
            found[f"{mount.point} (its file system)"] = {
                "blocks": used.f_blocks - used.f_bfree, "names": used.f_files - used.f_ffree,
            }  # fmt: skip
    return found


def of_file(pid: int, point: str) -> dict[str, dict[str, Any]]:
    """One name's attributes; nothing if it is gone."""
    path = walk.inside(pid, point)
    try:
        stat = os.lstat(path)
    except FileNotFoundError:
        return {}
    facts: dict[str, Any] = {
        "size": stat.st_size, "changed": stat.st_mtime_ns, "altered": stat.st_ctime_ns,
        "blocks": stat.st_blocks, "inode": stat.st_ino,
        "links": stat.st_nlink, "mode": f"{stat.st_mode:o}",
        "owner": f"{stat.st_uid}:{stat.st_gid}",
    }  # fmt: skip
    with contextlib.suppress(OSError):
        for name in os.listxattr(path, follow_symlinks=False):
            value = os.getxattr(path, name, follow_symlinks=False)
            facts[f"attribute {name}"] = f"{len(value)} bytes, {hashlib.sha256(value).hexdigest()}"
    with contextlib.suppress(OSError):
        facts["target"] = str(Path(path).readlink())
    with contextlib.suppress(OSError):  # a device or a socket; a file system that has none
        facts["flags"] = _flags(path)
    if point.startswith("/dev/mqueue/"):
        facts["queue"] = walk.read(pid, point).decode("latin-1")
    return {os.fsencode(point).decode("utf-8", "backslashreplace"): facts}


def _flags(path: str) -> str:
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        (flags,) = struct.unpack("l", fcntl.ioctl(file, _GET_FLAGS, bytes(8)))
        more = struct.unpack("5I8s", fcntl.ioctl(file, _FS_GET_XATTR, bytes(28)))
        return f"{flags:x}, {more[0]:x}, extent {more[1]}, project {more[3]}"
    finally:
        os.close(file)


def header(pid: int, point: str) -> dict[str, Any]:
    """The header of a node's database; nothing where there is none."""
    try:
        with Path(walk.inside(pid, point)).open("rb") as stream:
            data = stream.read(100)
    except FileNotFoundError:
        return {}
    if len(data) < 100:
        return {}
    found: dict[str, Any] = {}
    for name, (at, form) in HEADER.items():
        (value,) = struct.unpack_from(form, data, at)
        found[name] = value.hex() if isinstance(value, bytes) else value
    return found
