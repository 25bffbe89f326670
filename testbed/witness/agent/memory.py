"""Job `memory`: the memory of the nodes' processes, searched for marks; for the report, no claim.

Task: nodes {name: pid}, prefix (the run's marks), controls {name: a text that is in its memory},
within (seconds). Main processes come first; what there was no time for is told. A node's answer:
processes [{process, title, after (seconds since the job began), bytes, whole, control, marks {mark:
[form]}}]; or `why`.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from testbed.wire.canary import Canaries
from testbed.witness.agent import processfacts

PIECE = 1 << 16
"""Bytes that are read and searched at a time: pieces of zeros, a third of all, are passed over."""

OVERLAP = 256
"""Bytes of a piece that are searched with the next one: longer than any form of a prefix."""

_REGION = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)")
_KERNEL = frozenset({"[vvar]", "[vvar_vclock]", "[vsyscall]", "[vdso]"})


def run(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One answer a node, when all of them are searched or the time is over."""
    begun = time.monotonic()
    deadline = begun + task["within"]
    marks = Canaries(task["prefix"])
    told: dict[str, list[dict[str, Any]]] = {name: [] for name in task["nodes"]}
    failed: dict[str, str] = {}
    waiting: list[tuple[int, str, int]] = []
    for name, pid in task["nodes"].items():
        try:
            pids = processfacts.of_container(pid)
        except OSError as error:
            failed[name] = str(error)
            continue
        waiting += [(int(one != pid), name, one) for one in pids]
    for _, name, pid in sorted(waiting):
        control = task["controls"][name].encode()
        try:
            found = _searched(pid, marks, control, deadline)
        except OSError as error:
            failed.setdefault(name, str(error))
            continue
        told[name].append({"after": time.monotonic() - begun} | found)
    for name, processes in told.items():
        if processes:
            yield {"node": name, "processes": processes}
        else:
            yield {"node": name, "why": failed.get(name, "it has no process")}


def _searched(pid: int, marks: Canaries, control: bytes, deadline: float) -> dict[str, Any]:
    found: dict[str, set[str]] = {}
    size, whole, seen = 0, True, False
    for data in _pieces(pid):
        if time.monotonic() > deadline:
            whole = False
            break
        size += len(data)
        if data.count(0) == len(data):
            continue
        seen = seen or control in data
        for hit in marks.plain(data):
            found.setdefault(hit.mark, set()).add(hit.form)
    return {
        "process": pid,
        "title": processfacts.command(pid),
        "bytes": size,
        "whole": whole,
        "control": seen,
        "marks": {mark: sorted(forms) for mark, forms in sorted(found.items())},
    }


def _pieces(pid: int) -> Iterator[bytes]:
    """All that the process can write to, in pieces. Raises OSError when it can't be read at all."""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text(errors="replace").splitlines():
            region = _REGION.match(line)
            if region is None or not region[3].startswith("rw") or region[4] in _KERNEL:
                continue
            at, end = int(region[1], 16), int(region[2], 16)
            rest = b""
            while at < end:
                # A region that is gone by now, or has no pages behind it.
                with contextlib.suppress(OSError):
                    memory.seek(at)
                    data = memory.read(min(PIECE, end - at))
                    yield rest + data
                    rest = data[-OVERLAP:]
                at += PIECE
