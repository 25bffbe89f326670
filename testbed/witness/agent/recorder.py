"""The witness container's own process: it watches nodes from before their first instruction.

It keeps what nobody declared, in memory and bounded, until the container ends; of the spool's own
files it keeps only that they were written. Jobs `watch`, `recorded` and `ended` speak to it over a
socket, a JSON line each way.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from testbed.witness.agent import calls, tracer, trial, walk
from testbed.witness.agent.fanotify import Marks, Refused, Written

SOCKET = "/run/recorder"
ATTACH_WITHIN = 40.0
"""Seconds that bpftrace may take to attach, on a busy machine."""
TRIED_WITHIN = 10.0
"""Seconds in which what was tried inside a node has to be seen."""
MOST_FILES = 400
"""Paths of one node that are kept."""
UNWATCHED = "it was not watched from its start"
READ_AGAIN = 8
"""How often the contents of the same file are kept anew."""


@dataclass
class Node:
    """One node that is watched."""

    pid: int
    namespace: int
    declared: frozenset[str]
    marks: Marks | None = None
    blind: list[str] = field(default_factory=list)
    """Why nothing is seen of its files, or of a mount of it."""
    marked: list[str] = field(default_factory=list)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    """Names of controls that were seen, with what stood in them."""
    folders: list[str] = field(default_factory=list)
    """Where something was tried last."""
    dropped: int = 0
    """Events that the kernel's queue or our table had no room for."""

    def take(self, written: Written) -> None:
        """Keep what an event tells."""
        if written.kind == "overflow":
            self.dropped += 1
            return
        name = written.path.rpartition("/")[2]
        if name.startswith(walk.CONTROL) and written.uid == 0:
            self.seen.add(f"{written.path} {written.head.decode(errors='replace')}")
            return
        kept = self.files.get(written.path)
        if kept is None:
            if len(self.files) >= MOST_FILES:
                self.dropped += 1
                return
            kept = self.files[written.path] = {
                "count": 0, "pid": written.pid, "command": _command(written.pid),
                "uid": written.uid, "kind": written.kind,
            }  # fmt: skip
        kept["count"] += 1
        kept["size"] = written.size
        if kept["count"] <= READ_AGAIN and (written.head or "head" not in kept):
            kept["head"] = written.head.decode("latin-1")
        if written.tail:
            kept["tail"] = written.tail.decode("latin-1")


class Recorder:
    """All nodes of one web."""

    def __init__(self) -> None:
        """Nothing is watched yet."""
        self.nodes: dict[str, Node] = {}
        self.tracer: tracer.Tracer | None = None
        self.blind = "no node has been watched from its start"
        """Why no system call is seen."""
        self._barrier = 0
        self._token = ""
        """Of what was tried last."""
        self._selector = selectors.DefaultSelector()

    # -- the three things that it is asked ---------------------------------------------------

    def watch(self, pids: dict[str, int], declared: list[str]) -> dict[str, Any]:
        """Watch these nodes, which have not begun yet."""
        for name, pid in pids.items():
            self.nodes[name] = node = Node(pid, _namespace(pid), frozenset(declared))
            self._mark(node)
        try:
            namespaces = {name: node.namespace for name, node in self.nodes.items()}
            self.tracer = tracer.Tracer(namespaces, {n: node.pid for n, node in self.nodes.items()})
            self._selector.register(self.tracer, selectors.EVENT_READ, self._hear)
            self.blind = ""
            self._until(lambda: bool(self.blind) or self._attached(), ATTACH_WITHIN)
            if not self._attached():
                self.blind = self.blind or f"bpftrace: not attached within {ATTACH_WITHIN:.0f} s"
            self._pass_barrier()
        except (tracer.Blind, OSError) as error:
            self.blind = str(error)
        return {"blind": self.blind}

    def recorded(self, pids: dict[str, int], token: str) -> dict[str, Any]:
        """What was recorded of these nodes until now, and whether what we tried just now was."""
        self._token = token
        trying = [self._try(name, pid, token) for name, pid in pids.items() if name in self.nodes]
        self._until(lambda: all(self._tried(name, token) for name in pids), TRIED_WITHIN)
        self._pass_barrier()
        for process in trying:
            process.kill()
            process.wait()
        if self.tracer:
            self.tracer.ours.clear()  # the kernel will give these numbers to others
        return {name: self._answer(name, pid) for name, pid in pids.items()}

    def ended(self, names: list[str]) -> dict[str, Any]:
        """What was recorded of these nodes, which have ended, from their beginning on."""
        self._pass_barrier()
        self._until(lambda: not self._selector.select(0), TRIED_WITHIN)
        return {
            name: self._kept(name, self.nodes[name]) if name in self.nodes else {"why": UNWATCHED}
            for name in names
        }

    # -- how ---------------------------------------------------------------------------------

    def _mark(self, node: Node) -> None:
        try:
            node.marks = Marks()
            for mount in walk.mounts(node.pid):
                # What the kernel makes up has no files of anybody's.
                if mount.kind not in {"kernel", "mqueue"}:
                    node.marks.mark(walk.inside(node.pid, mount.point))
                    node.marked.append(mount.point)
        except (Refused, walk.Unseen, OSError) as error:
            node.blind.append(str(error))
        if node.marks:
            self._selector.register(node.marks, selectors.EVENT_READ, lambda: self._see(node))

    def _see(self, node: Node) -> None:
        assert node.marks
        for written in node.marks.read(node.declared):
            node.take(written)

    def _hear(self) -> None:
        assert self.tracer
        if not self.tracer.read():
            self._selector.unregister(self.tracer)
            self.tracer.process.wait()
            self.blind = f"bpftrace has ended: {self.tracer.last or 'without a word'}"

    def _attached(self) -> bool:
        # Number 0 is its own: by then it knows which namespaces are watched.
        return bool(self.tracer and self.tracer.attached and 0 in self.tracer.barriers)

    def _pass_barrier(self) -> None:
        """Wait until all that was called before has been told."""
        if self.blind or not self.tracer:
            return
        self._barrier += calls.BARRIER
        first = self._barrier
        tracer.barrier(first)
        wanted = {first + cpu for cpu in os.sched_getaffinity(0)}
        heard = self.tracer
        self._until(lambda: wanted <= heard.barriers or bool(self.blind), TRIED_WITHIN)
        if not wanted <= heard.barriers:
            self.blind = self.blind or f"bpftrace: no answer within {TRIED_WITHIN:.0f} s"

    def _try(self, name: str, pid: int, token: str) -> subprocess.Popen[bytes]:
        process = trial.begin(pid, token)
        if self.tracer:
            self.tracer.ours.add(process.pid)
            self.tracer.told[name].tried.clear()
        return process

    def _tried(self, name: str, token: str) -> bool:
        node = self.nodes.get(name)
        if node is None:
            return True
        files = bool(node.blind) or len(_controls(node, token)) >= len(trial.folders(node.pid))
        if self.blind or not self.tracer:
            return files
        return files and self.tracer.told[name].tried >= trial.CALLS

    def _answer(self, name: str, pid: int) -> dict[str, Any]:
        node = self.nodes.get(name)
        if node is None:
            return {"why": UNWATCHED}
        try:
            now = _namespace(pid)
        except OSError as error:
            return {"why": f"process {pid} is gone ({error.strerror})"}
        if now != node.namespace:
            return {"why": "it was started again, and nobody watched from then on"}
        node.folders = trial.folders(pid)
        return self._kept(name, node)

    def _kept(self, name: str, node: Node) -> dict[str, Any]:
        answer: dict[str, Any] = {
            "files": node.files, "marked": node.marked, "dropped": node.dropped,
            "unseen_files": "; ".join(node.blind), "controls": _controls(node, self._token),
            "folders": node.folders, "unseen_calls": self.blind,
        }  # fmt: skip
        if self.tracer:
            told = self.tracer.told[name]
            answer |= {
                "texts": told.all, "tried": sorted(told.tried), "counts": dict(told.counts),
                "random": list(told.random), "lost": told.lost + self.tracer.lost,
                "refused": self.tracer.refused,
            }  # fmt: skip
        return answer

    # -- the loop ----------------------------------------------------------------------------

    def serve(self) -> None:
        """Answer until the container ends."""
        with contextlib.suppress(FileNotFoundError):
            Path(SOCKET).unlink()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
            door.bind(SOCKET)
            door.listen()
            self._selector.register(door, selectors.EVENT_READ, lambda: self._answer_at(door))
            print("witness: ready", flush=True)
            while True:
                self._turn(None)

    def _turn(self, patience: float | None) -> None:
        for key, _ in self._selector.select(patience):
            key.data()

    def _until(self, enough: Callable[[], bool], within: float) -> None:
        deadline = time.monotonic() + within
        while not enough() and (left := deadline - time.monotonic()) > 0:
            self._turn(min(left, 0.2))

    def _answer_at(self, door: socket.socket) -> None:
        connection, _ = door.accept()
        # Whoever asked may have gone: closing the stream tells that too, and says it once more.
        with connection, contextlib.suppress(OSError), connection.makefile("rw") as stream:
            if line := stream.readline():
                asked = json.loads(line)
                jobs: dict[str, Callable[..., dict[str, Any]]] = {
                    "watch": self.watch, "recorded": self.recorded, "ended": self.ended,
                }  # fmt: skip
                stream.write(json.dumps(jobs[asked.pop("job")](**asked)) + "\n")
                stream.flush()


def _controls(node: Node, token: str) -> list[str]:
    """Folders in which the file that we tried was seen, with what stood in it."""
    ours = [seen.partition(" ") for seen in node.seen if token in seen.partition(" ")[2]]
    return sorted({path.rpartition("/")[0] or "/" for path, _, _ in ours})


def _namespace(pid: int) -> int:
    return Path(f"/proc/{pid}/ns/mnt").stat().st_ino


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return (
            Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        )
    return "ended"


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # Whoever is watched isn't interrupted for each event: on a busy machine they are heard in
    # batches, and bpftrace, which inherits this, tells them in batches (sched(7)).
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    Recorder().serve()
