"""bpftrace, run on the program of calls.py: what it says, added up for each node.

What it says of one call in the same words is kept once, with a count. How much is kept is bounded;
what was lost, on the way or here, is said: who lost something saw nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import re
import subprocess
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from testbed.witness.agent import calls
from testbed.witness.agent.fanotify import NEEDS

TRACEFS = Path("/sys/kernel/tracing")
BTF = Path("/sys/kernel/btf/vmlinux")
MOST_TEXTS = 4000
"""Different texts of one node that are kept."""
MOST_RANDOM = 100_000
"""Of the numbers that the kernel gave a node, the last so many are kept."""
PAGES = "2048"
"""Pages of the ring between kernel and bpftrace, for each processor."""
PIPE = 1 << 16
"""Bytes that a pipe holds (pipe(7)): no more can have come."""
HEADERS = ("*/asm/unistd_64.h", "asm-generic/unistd.h")
_LIBRARY = re.compile(r"/(libc\.so\.6|libc-[0-9.]+\.so|ld-musl-\w+\.so\.1)$")


class Blind(Exception):
    """System calls can't be traced here, and why."""


@dataclass
class Told:
    """What was told of one node's calls."""

    texts: dict[str, dict[str, Any]] = field(default_factory=dict)
    """`CALL tab TEXT` → count, and pid, uid and command of the first that made it."""
    numbers: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    """By call the same of those whose arguments are numbers, since the beginning; without pid."""
    random: deque[str] = field(default_factory=lambda: deque(maxlen=MOST_RANDOM))
    """What getrandom gave, in hex."""
    counts: Counter[str] = field(default_factory=Counter)
    """`UID NAME` → how often this system call was made."""
    tried: set[str] = field(default_factory=set)
    """Calls of our own processes in there; those of numbers since the beginning."""
    lost: int = 0
    """Texts beyond MOST_TEXTS."""

    @property
    def all(self) -> dict[str, dict[str, Any]]:
        """Texts and numbers."""
        found = dict(self.texts)
        for own in self.numbers.values():
            found |= own
        return found


class Heard:
    """What was heard of all nodes: mount namespaces (inode numbers) by name. No I/O."""

    def __init__(self, namespaces: Mapping[str, int]) -> None:
        """Nothing yet."""
        self.told = {name: Told() for name in namespaces}
        self._names = {str(number): name for name, number in namespaces.items()}
        self.attached = False
        self.lost = 0
        """Events that the kernel had no room for, or could not count."""
        self.refused = ""
        """Why it could not count one, in its words."""
        self.barriers: set[int] = set()
        """Numbers of the barriers that have come through."""
        self.ours: set[int] = set()
        """Our own processes in the nodes' namespaces."""
        self.last = ""
        """Its last word that wasn't an event."""

    def take(self, line: bytes) -> None:
        """A line of bpftrace's JSON, or of its complaints."""
        if not line.startswith(b"{"):
            self.last = line.decode(errors="replace").strip() or self.last
            return
        told = json.loads(line.decode(errors="replace"), strict=False)
        kind, data = told["type"], told.get("data")
        if kind == "attached_probes":
            self.attached = True
        elif kind == "lost_events":
            self.lost += int(data["events"])
        elif kind == "helper_error":
            # A map was full, or its lock not to be had in time. (What was to be deleted and is gone
            # already is no event; and where two processors make one row at the same moment, as both
            # saw the first call of a kind, the row is there, with one call too few.)
            if told["helper"] != "map_delete_elem" and told["retcode"] != -errno.EEXIST:
                self.lost += 1
                self.refused = f"{told['helper']}: {told['msg']}"
        elif kind == "map":
            for name, counts in data.items():
                # When it ends it tells all that it has, which is more than it is asked for.
                if name == "@calls":
                    self._count(counts)
                elif name.startswith(f"@{calls.TOLD}"):
                    self._add_up(name.removeprefix(f"@{calls.TOLD}"), counts)
        elif kind == "printf":
            self._hear(data.removesuffix("\n"))

    def _count(self, counts: Mapping[str, int]) -> None:
        for one in self.told.values():
            one.counts.clear()
        for key, count in counts.items():
            namespace, uid, compat, number = key.split(",")
            if namespace in self._names:
                name = f"32-bit call {number}" if compat != "0" else _name(int(number))
                self.told[self._names[namespace]].counts[f"{uid} {name}"] = count

    def _add_up(self, call: str, counts: Mapping[str, int]) -> None:
        probe = calls.PROBES[call]
        if len(counts) >= calls.MOST_KEYS:
            self.lost += 1
        for one in self.told.values():
            one.numbers[call] = {}
        for key, count in counts.items():
            namespace, ours, uid, rest = key.split(",", 3)
            if namespace not in self._names:
                continue
            one = self.told[self._names[namespace]]
            if ours == "1":
                one.tried.add(call)
                continue
            command, *values = rest.rsplit(",", len(probe.values))
            # Of a negative number hexadecimal has the bits.
            numbers = (int(value) % 2**64 if "%x" in probe.form else int(value) for value in values)
            text = f"{call}\t{probe.form % tuple(numbers)}"
            known = one.numbers[call].setdefault(
                text, {"count": 0, "uid": int(uid), "command": command}
            )
            known["count"] += count

    def _hear(self, text: str) -> None:
        call, namespace, pid, uid, command, what = text.split("\t", 5)
        if call == "barrier":
            self.barriers.add(int(what))
            return
        one = self.told[self._names[namespace]]
        if int(pid) in self.ours:
            one.tried.add(call)
            return
        if call == "getrandom":
            one.random.append(what.replace("\\x", ""))
            return
        key = f"{call}\t{what}"
        if key in one.texts:
            one.texts[key]["count"] += 1
        elif len(one.texts) < MOST_TEXTS:
            one.texts[key] = {"count": 1, "pid": int(pid), "uid": int(uid), "command": command}
        else:
            one.lost += 1


class Tracer(Heard):
    """One bpftrace for all nodes."""

    def __init__(self, namespaces: Mapping[str, int], pids: Mapping[str, int]) -> None:
        """Starts it. Raises Blind."""
        super().__init__(namespaces)
        self._rest = b""
        _see_tracepoints()
        known = {p.name.removeprefix("sys_enter_") for p in _syscalls().glob("sys_enter_*")}
        libraries = set(map(_library, pids.values()))
        ciphers = {str(path) for pid in pids.values() for path in _ciphers(pid)}
        text = calls.program(
            namespaces.values(),
            known,
            libraries,
            ciphers,
            os.getpid(),
            max(os.sched_getaffinity(0)),
        )
        self.process = subprocess.Popen(
            ["bpftrace", "-B", "line", "-f", "json", "-e", text],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=os.environ | {"BPFTRACE_PERF_RB_PAGES": PAGES},
        )

    def fileno(self) -> int:
        """For selectors."""
        assert self.process.stdout
        return self.process.stdout.fileno()

    def read(self) -> bool:
        """Take what it has said; False when it has ended."""
        data = os.read(self.fileno(), PIPE)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self.take(line)
        return bool(data)


def barrier(number: int) -> None:
    """A call on each processor that the program tells, after all that were made there before."""
    before = os.sched_getaffinity(0)
    try:
        for cpu in sorted(before):
            os.sched_setaffinity(0, {cpu})
            # There is no such process: that it was asked for is what counts.
            with contextlib.suppress(OSError):
                os.getpriority(os.PRIO_PROCESS, number + cpu)
    finally:
        os.sched_setaffinity(0, before)


def _see_tracepoints() -> None:
    """Mount tracefs where it isn't. Raises Blind."""
    if not BTF.exists():
        raise Blind("the kernel has no BTF (CONFIG_DEBUG_INFO_BTF), by which namespaces are told")
    if not _syscalls().exists():
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"tracefs", os.fsencode(TRACEFS), b"tracefs", 0, None):
            why = os.strerror(ctypes.get_errno())
            raise Blind(f"tracefs can't be mounted ({why}): {NEEDS}")
    if not _syscalls().exists():
        raise Blind("the kernel has no tracepoints of system calls (CONFIG_FTRACE_SYSCALLS)")


@lru_cache(maxsize=1)
def _numbers() -> dict[int, str]:
    """The kernel's names of its system calls, from its header for programs."""
    found: dict[int, str] = {}
    for header in HEADERS:
        for path in Path("/usr/include").glob(header):
            for name, number in re.findall(r"#define __NR_(\w+)\s+(\d+)", path.read_text()):
                found.setdefault(int(number), name)
    return found


def _name(number: int) -> str:
    return _numbers().get(number, f"call {number}")


def _syscalls() -> Path:
    return TRACEFS / "events" / "syscalls"


def _ciphers(pid: int) -> Iterator[Path]:
    """The machine's own OpenSSL, as a node has it."""
    return Path(f"/proc/{pid}/root/usr/lib").glob("**/libcrypto.so.3")


def _library(pid: int) -> str:
    """The C library that a process has loaded, as a path from here. Raises Blind."""
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        path = line.split(maxsplit=5)[-1]
        if _LIBRARY.search(path):
            return f"/proc/{pid}/root{path}"
    raise Blind(f"process {pid} has no C library that is known: nobody sees its getrandom")
