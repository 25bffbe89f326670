"""Every file of one mount of a node, and what stands in it: the walk that all witnesses share.

Nothing is followed out of the mount: no symbolic link, no mount below it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from testbed.wire.canary import Hit
from testbed.witness.agent.mounts import Mount, parse

CONTROL = ".unlogged-control-"
"""How the name of a control's file begins; it belongs to root, which no node can be."""

MOST_FILES = 200_000
MOST_BYTES = 256 * 1024 * 1024
"""Of one mount, and of one file: beyond these it can't be looked through, and that is said."""

_KINDS = {
    stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link", stat.S_IFSOCK: "socket",
    stat.S_IFIFO: "fifo", stat.S_IFCHR: "device", stat.S_IFBLK: "block device",
}  # fmt: skip


class Searcher(Protocol):
    """Whatever finds marks in data."""

    def search(self, data: bytes) -> Iterator[Hit]:
        """Each, with what surrounds it."""


class Unseen(Exception):
    """Something that can't be looked at, and why."""


@dataclass
class Entry:
    """One name in a mount. `path` as the node sees it; `hits` are marks in name or contents."""

    path: str
    kind: str
    size: int
    mode: str
    uid: int
    target: str = ""
    attributes: list[str] = field(default_factory=list)
    """Names of user extended attributes: a log can be kept in them too."""
    hits: list[dict[str, Any]] = field(default_factory=list)

    def told(self) -> dict[str, Any]:
        """As JSON; names need not be UTF-8."""
        return asdict(self) | {"path": _shown(self.path), "target": _shown(self.target)}


def _shown(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def mounts(pid: int) -> list[Mount]:
    """What the process sees mounted. Raises Unseen when it is gone."""
    try:
        return parse(Path(f"/proc/{pid}/mountinfo").read_text())
    except OSError as error:
        raise Unseen(f"process {pid} is gone ({error.strerror})") from None


def inside(pid: int, point: str) -> str:
    """The path under which another container's path is reached from here."""
    return f"/proc/{pid}/root{point}"


def command(pid: int | str) -> str:
    """A process for people: its command line and number; only the number once it is gone."""
    words = b""
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    shown = words.replace(b"\0", b" ").decode("utf-8", "backslashreplace").strip()
    return f"{shown[:100]} (pid {pid})" if shown else f"pid {pid}"


def lstat(pid: int, point: str) -> os.stat_result:
    """What stands at a path of the node's. Raises OSError."""
    return os.lstat(inside(pid, point))


def walk(pid: int, mount: Mount, others: frozenset[str]) -> Iterator[Entry]:
    """Every name in the mount; its root only if that has attributes. `others`: all mount points."""
    top = inside(pid, mount.point)
    root = entry(pid, mount.point)
    if root.attributes or root.kind != "directory":
        yield root
    if root.kind != "directory":
        return
    prefix = len(inside(pid, ""))
    count = 0
    waiting = [top]
    while waiting:
        with os.scandir(waiting.pop()) as names:
            for name in names:
                point = name.path[prefix:].replace("//", "/")
                if point in others:
                    continue
                if (count := count + 1) > MOST_FILES:
                    raise Unseen(f"{mount.point}: more than {MOST_FILES} files")
                with contextlib.suppress(FileNotFoundError):
                    yield entry(pid, point)
                    if name.is_dir(follow_symlinks=False):
                        waiting.append(name.path)


def entry(pid: int, point: str) -> Entry:
    """One name as it stands in the node. Raises OSError."""
    path = inside(pid, point)
    found = os.lstat(path)
    kind = _KINDS.get(stat.S_IFMT(found.st_mode), "unknown")
    mode = f"{stat.S_IMODE(found.st_mode):04o}"
    made = Entry(point, kind, found.st_size if kind == "file" else 0, mode, found.st_uid)
    if kind == "link":
        made.target = str(Path(path).readlink())
    with contextlib.suppress(OSError):  # most file systems in memory have none
        names = os.listxattr(path, follow_symlinks=False)
        made.attributes = [name for name in names if name.startswith("user.")]
    return made


def read(pid: int, point: str, most: int = MOST_BYTES) -> bytes:
    """A file's contents. Raises Unseen when it has more than `most` bytes, or OSError."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
    with os.fdopen(os.open(inside(pid, point), flags), "rb") as stream:
        data = stream.read(most + 1)
    if len(data) > most:
        raise Unseen(f"{point}: more than {most >> 20} MB")
    return data


def search(pid: int, found: Entry, sought: Searcher) -> int:
    """Search a name, its attributes and contents; `hits` gets what is found. Bytes looked at."""
    texts = {"name": os.fsencode(found.path), "target": os.fsencode(found.target)}
    for name in found.attributes:
        value = os.getxattr(inside(pid, found.path), name, follow_symlinks=False)
        texts[f"attribute {name}"] = os.fsencode(name) + b"=" + value
    if found.kind == "file":
        texts["contents"] = read(pid, found.path)
    for place, data in texts.items():
        found.hits += [hit.told() | {"place": place} for hit in sought.search(data)]
    return sum(map(len, texts.values()))


@contextlib.contextmanager
def control_file(pid: int, mount: Mount, text: bytes) -> Iterator[str]:
    """A file of ours in the node's mount, for as long as the search lasts; its path.

    Raises Unseen when none can be put there.
    """
    folder = mount.point.rstrip("/")
    _sweep(pid, mount.point)
    point = f"{folder}/{CONTROL}{secrets.token_hex(4)}"
    path = Path(inside(pid, point))
    try:
        try:
            with path.open("xb") as stream:
                stream.write(text)
        except OSError as error:
            raise Unseen(f"no file can be put into {mount.point} ({error.strerror})") from None
        yield point
    finally:
        with contextlib.suppress(OSError):
            path.unlink()


def _sweep(pid: int, point: str) -> None:
    """Take away what an agent that was killed left here; only root's own files."""
    for path in Path(inside(pid, point)).glob(f"{CONTROL}*"):
        if path.lstat().st_uid == 0:
            path.unlink()
