"""Claim `durable`: a node says 250 to a mail on port 25 only after the mail is on disk.

strace shows the node's system calls while cover mail comes in: the end of the mail, writes to the
spool of at least its size, a sync of that same file that began after them and has returned, and
only then the 250. What strace said is kept: `strace-NODE.txt` in the run's folder.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from testbed.agent import Answer, stream
from testbed.contract import SPOOL
from testbed.run import Run
from testbed.verdict import Control, Evidence, Finding, judge, some
from testbed.wire.canary import Canaries
from testbed.witness.inside import TROUBLE, excerpt, reason, unseen

MAILS = 2
"""Cover mails to each node."""

WITHIN = 10.0
"""Seconds in which strace has to attach and the mails to be taken."""

RECEIVE = frozenset({"recvfrom", "recvmsg", "read", "readv"})
SEND = frozenset({"sendto", "sendmsg", "write", "writev"})
WRITE = frozenset({"pwrite64", "pwritev", "pwritev2", "write", "writev"})
SYNC = frozenset({"fsync", "fdatasync"})

_LINE = re.compile(r"(?:\[pid +(?P<pid>\d+)\] )?(?P<rest>.*)")
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>(?P<rest>.*)")
_CALL = re.compile(r"(?P<name>\w+)\(\d+<(?P<file>[^>]*)>(?P<rest>.*)\) += (?P<result>-?\d+).*")
_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"(\.\.\.)?')

_PROBE = Path(__file__).with_name("durable_mail.py")


@dataclass(frozen=True)
class Call:
    """One system call on a file or socket; `began` and `ended` are lines of strace, from 1."""

    name: str
    file: str
    data: bytes
    cut: bool
    """strace did not show all of the data."""
    result: int
    began: int
    ended: int


@dataclass(frozen=True)
class Taken:
    """A mail that was answered with 250: lines of its end, the sync before the reply, the reply."""

    end: int
    sync: int | None
    reply: int
    probe: bool


@dataclass
class _Socket:
    """How far the conversation on one socket is."""

    tail: bytes = b""
    in_data: bool = False
    size: int = 0
    """Bytes of the mail so far."""
    end: int = 0
    probe: bool = False


@dataclass
class _Disk:
    """What has reached the spool's files so far: by file, lines of writes and of syncs."""

    writes: list[Call] = field(default_factory=list)
    syncs: list[Call] = field(default_factory=list)

    def take(self, call: Call) -> None:
        """One more call, if it is about the spool."""
        if call.file.startswith(f"{SPOOL}/") and call.result >= 0:
            if call.name in SYNC:
                self.syncs.append(call)
            elif call.name in WRITE:
                self.writes.append(call)

    def synced(self, size: int, after: int, before: int) -> int | None:
        """The line of a sync between two lines, of a file into which `size` bytes went before it.

        Less can't be the mail: SQLite syncs its log's 32 bytes of header even where it doesn't
        wait for what follows them (synchronous = NORMAL).
        """
        for sync in self.syncs:
            written = sum(
                write.result
                for write in self.writes
                if after < write.began and write.ended < sync.began and write.file == sync.file
            )
            if sync.ended < before and written >= size > 0:
                return sync.ended
        return None


def calls(lines: Iterable[str]) -> Iterator[Call]:
    """The calls that strace -f -y shows, in the order in which they returned.

    A call that is interrupted by another thread's takes two lines, `<unfinished ...>` and
    `<... NAME resumed>`. Other lines (strace's own words) are passed over.
    """
    begun: dict[str | None, tuple[int, str]] = {}
    for number, line in enumerate(lines, 1):
        found = _LINE.fullmatch(line)
        if found is None:
            continue
        pid, text, began = found["pid"], found["rest"], number
        if text.endswith("<unfinished ...>"):
            begun[pid] = number, text.removesuffix("<unfinished ...>").rstrip()
            continue
        if resumed := _RESUMED.fullmatch(text):
            began, head = begun.pop(pid, (number, ""))
            text = head + resumed["rest"]
        if call := _CALL.fullmatch(text):
            texts = _TEXT.findall(call["rest"])
            data = b"".join(_bytes(shown) for shown, _ in texts)
            cut = any(dots for _, dots in texts)
            yield Call(call["name"], call["file"], data, cut, int(call["result"]), began, number)


def _bytes(shown: str) -> bytes:
    """A string as strace shows it, with C's escapes, as the bytes that it stands for."""
    return shown.encode("ascii", "replace").decode("unicode_escape").encode("latin-1", "replace")


def taken(seen: Iterable[Call], token: bytes) -> list[Taken]:
    """Every mail that was answered with 250, and whether a sync came before."""
    sockets: dict[str, _Socket] = {}
    disk = _Disk()
    mails = []
    for call in seen:
        disk.take(call)
        if not call.file.startswith(("socket:", "TCP")) or call.result <= 0:
            continue
        socket = sockets.setdefault(call.file, _Socket())
        if call.name in RECEIVE:
            _received(socket, call, token)
        elif call.name in SEND:
            if socket.end and call.data.startswith(b"250"):
                sync = disk.synced(socket.size, socket.end, call.began)
                mails.append(Taken(socket.end, sync, call.began, socket.probe))
            socket.in_data, socket.size, socket.end = call.data.startswith(b"354"), 0, 0
            # A mail's first line may be its last: it follows the CRLF of DATA.
            socket.tail = b"\r\n"
    return mails


def _received(socket: _Socket, call: Call, token: bytes) -> None:
    socket.probe = socket.probe or token in call.data
    if socket.in_data and not socket.end:
        socket.size += call.result
        socket.tail = b"" if call.cut else socket.tail[-4:] + call.data
        if b"\r\n.\r\n" in socket.tail:
            socket.end = call.ended


def kept(node: str) -> str:
    """Name of the file with what strace said of a node."""
    return f"strace-{node}.txt"


def judge_lines(node: str, lines: Sequence[str], token: str, trouble: str = "") -> Finding:
    """The row of one node, from what strace said; `trouble`: what went wrong when mailing to it."""
    seen = list(calls(lines))
    mails = taken(seen, token.encode())
    probes = [mail for mail in mails if mail.probe]
    disk = _Disk()
    for call in seen:
        disk.take(call)
    return judge(
        "durable",
        node,
        looked_at=f"{len(mails)} mails taken, {len(seen)} system calls",
        controls=[
            Control(
                "the end of each cover mail and its 250",
                len(probes) == MAILS,
                trouble
                or f"{kept(node)}, "
                + ", ".join(f"lines {mail.end} and {mail.reply}" for mail in probes),
            ),
            Control(
                "a sync of the spool",
                bool(disk.syncs),
                f"{disk.syncs[0].file}, line {disk.syncs[0].ended}" if disk.syncs else "",
            ),
        ],
        evidence=some(
            [
                Evidence(
                    f"{kept(node)}, lines {mail.end} to {mail.reply}",
                    "mail ended, no write to the spool was synced, and it said "
                    + excerpt(lines[mail.reply - 1]),
                )
                for mail in mails
                if mail.sync is None
            ]
        ),
        kind="not durable",
    )


def findings(run: Run) -> list[Finding]:
    """A row a node: all are traced at once, while each is sent cover mail."""
    nodes = [node.name for node in run.web.topology.remailers]
    token = Canaries.new(random.SystemRandom()).prefix
    answers: dict[str, Answer] = {}
    trouble: dict[str, str] = {}
    why = "the witness died before it told"
    try:
        for told in stream(run.web, "trace", nodes, within=WITHIN, end=f"NOOP {token}"):
            if "attached" in told:
                trouble = _send(run, told["attached"], token)
            elif "node" in told:
                answers[told["node"]] = told
    except TROUBLE as error:
        why = reason(error)
    run.out.mkdir(parents=True, exist_ok=True)
    for node in nodes:
        lines = answers.get(node, {}).get("lines", ())
        (run.out / kept(node)).write_text("".join(f"{line}\n" for line in lines))
    return [
        judge_lines(node, answers[node]["lines"], token, trouble.get(node, ""))
        if "lines" in answers.get(node, {})
        else unseen("durable", node, answers.get(node, {}).get("why", why))
        for node in nodes
    ]


def _send(run: Run, nodes: Sequence[str], token: str) -> dict[str, str]:
    """Send cover mail to the nodes from the sender's mail host; node → what went wrong."""
    to = {n.name: (n.host, n.address) for n in run.web.topology.remailers if n.name in nodes}
    task = {"nodes": to, "mails": MAILS, "token": token, "within": WITHIN / 2}
    argv = ["python3", "-I", "-c", _PROBE.read_text(), json.dumps(task)]
    container = run.web.container(run.web.topology.sender.name)
    said = container.exec_run(argv, stderr=False).output
    assert isinstance(said, bytes)  # nothing else when not streamed
    try:
        problems: dict[str, str] = json.loads(said)
    except ValueError:
        return dict.fromkeys(nodes, f"{container.name}: no cover mail could be sent")
    return problems
