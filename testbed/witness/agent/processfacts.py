"""What /proc tells of a process that is not work itself: titles, limits, descriptors, settings.

CPU time, memory in use and what else goes with any work is left out: docs/claims.md says so.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

STATUS = (
    "Umask", "Uid", "Gid", "Groups", "VmLck", "VmPin", "VmSwap", "HugetlbPages",
    "CoreDumping", "THP_enabled", "SigQ", "SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt",
    "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters",
    "Speculation_Store_Bypass", "SpeculationIndirectBranch", "Cpus_allowed", "Mems_allowed_list",
)  # fmt: skip
"""Fields of /proc/PID/status."""

FILES = (
    "coredump_filter", "oom_score_adj", "personality", "loginuid", "sessionid", "autogroup",
    "cgroup", "timers", "limits",
)  # fmt: skip
"""Files of /proc/PID that are told whole."""

PASSING = re.compile(r"(?<=tracker_fd=)\d{1,3}|(?<=pipe_handle=)\d{1,3}|(?<=main\()\d{1,3}")
"""Numbers of descriptors in the command lines of multiprocessing's children."""

LOOKS, BETWEEN_LOOKS = 20, 0.01
"""So often at rest, and so far apart in seconds, signals are looked for: one on its way is soon
taken. (One that waits for any process of its user counts, a timer's, say: of root's, always.)"""

PLACES = frozenset({"mnt_id", "ino", "tfd"})
"""Of fdinfo: where a file is, and which connections an epoll waits for just now."""

_IOPRIO_GET, _IOPRIO_WHO_PROCESS = 252, 1
"""ioprio_get(2) has no wrapper; the number is x86's, elsewhere the answer is always the same."""


def of_container(pid: int) -> list[int]:
    """All processes in the container of `pid`, itself first: they share its mount namespace."""
    mine = Path(f"/proc/{pid}/ns/mnt").readlink()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (folder / "ns" / "mnt").readlink() == mine:
                found.append(int(folder.name))
    return sorted(found, key=lambda one: (one != pid, one))


def executed(pid: int, pids: Sequence[int]) -> bool:
    """Whether somebody outside started it in the container: a health check, say."""
    with contextlib.suppress(OSError):
        stat = Path(f"/proc/{pid}/stat").read_text()
        return pid != pids[0] and int(stat.rpartition(")")[2].split()[1]) not in pids
    return False


def uid(pid: int) -> int | None:
    """Whose it is; its folder in /proc is root's when it can't be dumped. None: it is gone."""
    for line in _text(Path(f"/proc/{pid}/status")).splitlines():
        if line.startswith("Uid:"):
            return int(line.split()[1])
    return None


def command(pid: int) -> str:
    """Its command line, for people; nothing when it is gone."""
    with contextlib.suppress(OSError):
        data = Path(f"/proc/{pid}/cmdline").read_bytes()
        return data.rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "backslashreplace")
    return ""


def of_process(pid: int, sockets: Mapping[str, str], *, looks: int = 1) -> dict[str, Any] | None:
    """All that is told of one process; None when it is gone.

    `sockets`: inode → what it is. `looks`: so often at most it is looked at until no signal waits.
    """
    folder = Path(f"/proc/{pid}")
    try:
        stat = (folder / "stat").read_text().rpartition(")")[2].split()
        said = command(pid)
        facts: dict[str, Any] = {
            "pid": pid,
            "kind": PASSING.sub("N", said),
            "command": said,
            "environment": _text(folder / "environ"),
            "titles": sorted(_text(path / "comm").rstrip("\n") for path in _tasks(folder)),
            "descriptors": dict(sorted(_descriptors(folder, sockets, said).items())),
            "mapped": _mapped(_text(folder / "maps")),
            "dumpable": (folder / "environ").stat().st_uid != 0,
            "folders": [str((folder / name).readlink()) for name in ("cwd", "root", "exe")],
            "scheduling": {
                "priority": stat[15], "nice": stat[16], "real time": stat[37], "policy": stat[38],
                "input and output": ctypes.CDLL(None).syscall(
                    _IOPRIO_GET, _IOPRIO_WHO_PROCESS, pid
                ),
                "of threads": sorted(
                    " ".join(_text(path / "stat").rpartition(")")[2].split()[15:17])
                    for path in _tasks(folder)
                ),
            },
        }  # fmt: skip
    except (FileNotFoundError, ProcessLookupError):
        return None
    status = _status(folder, looks)
    facts["status"] = {name: status[name] for name in STATUS if name in status}
    facts["files"] = {name: _text(folder / name) for name in FILES}
    return facts


def _status(folder: Path, looks: int) -> dict[str, str]:
    """The fields of its status, once no signal waits for it or its user, or at the last look."""
    for look in range(looks):
        time.sleep(BETWEEN_LOOKS * (look > 0))
        lines = (line.partition(":") for line in _text(folder / "status").splitlines())
        status = {name: value.strip() for name, _, value in lines}
        queued = status.get("SigQ", "0/").partition("/")[0] != "0"
        if not queued and not any(int(status.get(f"{s}Pnd", "0"), 16) for s in ("Sig", "Shd")):
            break
    return status


def _tasks(folder: Path) -> list[Path]:
    return list((folder / "task").iterdir())


def _text(path: Path) -> str:
    """A file of /proc; one that this kernel lacks, or whose process is just gone, has no text."""
    with contextlib.suppress(OSError):
        return path.read_bytes().decode("utf-8", "backslashreplace")
    return ""


def _descriptors(folder: Path, sockets: Mapping[str, str], said: str) -> Counter[str]:
    # Children are given descriptors under their parent's numbers, and take what is free beside.
    numbered = not PASSING.search(said)
    found: Counter[str] = Counter()
    for path in (folder / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            target = os.fsencode(path.readlink()).decode("utf-8", "backslashreplace")
            kind, _, inode = target.partition(":[")
            if kind == "socket":
                target = f"socket {sockets.get(inode.rstrip(']'), 'without a name or peer')}"
            elif kind == "pipe":
                target = f"pipe {_held(folder / 'fdinfo' / path.name)}"
            else:
                number = f"number {path.name}, " if numbered else ""
                target += f" {number}{_held(folder / 'fdinfo' / path.name)}"
            found[target] += 1
    return found


def _mapped(maps: str) -> dict[str, list[str]]:
    """By path of a mapped file: how each piece may be used, and where in the file it begins."""
    found: dict[str, list[str]] = {}
    for line in maps.splitlines():
        fields = line.split(None, 5)  # addresses, permissions, offset, device, inode, path
        if len(fields) > 5 and not fields[5].startswith("["):
            found.setdefault(fields[5], []).append(" ".join(fields[1:3]))
    return {path: sorted(pieces) for path, pieces in sorted(found.items())}


def _held(path: Path) -> str:
    """What an open file is at, how it was opened, what is locked of it, and what it counts."""
    told = []
    for line in _text(path).splitlines():
        name, _, value = line.partition(":")
        if name == "lock":
            fields = value.split()  # number, kind, how, what, process, file, from, to
            told.append(" ".join(("lock", *fields[1:4], *fields[6:])))
        elif name not in PLACES:
            told.append(f"{name} {' '.join(value.split())}")
    return ", ".join(told)
