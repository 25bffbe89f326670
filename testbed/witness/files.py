"""Claims `silent-root`, `silent-tmpfs`, `silent-volume`: what a node left in its file systems.

The agent walks every mount of every node and searches names and contents for marks; here it is
judged what may be there. In memory: nothing. In volumes: the files declared below, without a mark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import Any

from remailer.deliver import SOCKET
from testbed.agent import Answer
from testbed.contract import DATABASE, DECLARED, SPOOL
from testbed.run import Run
from testbed.verdict import Context, Control, Evidence, Finding, judge, some
from testbed.wire.canary import Canaries
from testbed.witness.inside import TROUBLE, ask, excerpt, marked, reason, sought, unseen

DEVICES = frozenset({"full", "null", "random", "tty", "urandom", "zero", "console"})
LINKS = {
    "core": "/proc/kcore", "fd": "/proc/self/fd", "ptmx": "pts/ptmx", "stderr": "/proc/self/fd/2",
    "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1",
}  # fmt: skip
"""What Docker puts into every container's /dev."""

MAIL_LOG = "/var/log/mail.log"
"""Where an ordinary mail host logs."""

_CHANGES = ("changed", "added", "deleted")
"""What the numbers in a docker diff mean."""

Diff = list[dict[str, Any]] | str
"""A docker diff, or why there is none."""


def diffs(run: Run, services: Sequence[str]) -> dict[str, Diff]:
    """The docker diff of each: on some of Docker's storage drivers a second of processor time."""
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(services, pool.map(lambda name: _diff(run, name), services), strict=True))


def findings(run: Run, compared: Callable[[], Mapping[str, Diff]]) -> list[Finding]:
    """Three rows a node. `compared`: waits for the docker diffs of nodes and mail hosts."""
    topology = run.web.topology
    nodes = [node.name for node in topology.remailers]
    hosts = [host.name for host in topology.mailhosts]
    database = f"{SPOOL}/{DATABASE}"
    answers = ask(run, "look", nodes, database=database, **sought(run, run.letters))
    logs = ask(run, "log", hosts, prefix=run.canaries.prefix, path=MAIL_LOG)
    told = compared()
    controls = [_logged(host, told[host]) for host in hosts]
    letters = {letter.number for letter in run.letters}
    marked = [logged_marks(host, logs[host], letters, run.canaries) for host in hosts]
    rows = []
    for node in nodes:
        answer = answers[node]
        rows.append(root_row(node, told[node], answer, controls))
        rows += [tmpfs_row(node, answer), volume_row(node, answer, marked)]
    return rows


def _diff(run: Run, service: str) -> Diff:
    """The docker diff of a service, without the mount points that Docker itself made."""
    try:
        container = run.web.container(service)
        points = [PurePosixPath(mount["Destination"]) for mount in container.attrs["Mounts"]]
        changes: list[dict[str, Any]] = list(container.diff() or [])
        return [
            change
            for change in changes
            if change["Kind"] > 1 or not _leads_to(PurePosixPath(change["Path"]), points)
        ]
    except TROUBLE as error:
        return reason(error)


def _leads_to(path: PurePosixPath, points: Iterable[PurePosixPath]) -> bool:
    return any(point.is_relative_to(path) for point in points)


def _logged(host: str, diff: Diff) -> Control:
    sought = f"docker diff of {host} shows its log"
    if isinstance(diff, str):
        return Control(sought, False, diff)
    there = any(change["Path"] == MAIL_LOG for change in diff)
    return Control(sought, there, MAIL_LOG if there else "")


def logged_marks(host: str, answer: Answer, letters: set[int], canaries: Canaries) -> Control:
    """The search that finds nothing at the nodes finds this run's mail in a mail host's log."""
    sought = f"this run's marks are found in the log of {host}"
    marks = answer.get("marks", {})
    found = [mark for mark in marks if canaries.letter_of(mark) in letters]
    if not found:
        return Control(sought, False, answer.get("why", MAIL_LOG))
    return Control(sought, True, f"{MAIL_LOG}, byte {marks[found[0]]}: {found[0]}")


def root_row(node: str, diff: Diff, answer: Answer, controls: Sequence[Control]) -> Finding:
    """silent-root: nothing in docker diff, and a root that can't be written to."""
    if isinstance(diff, str):
        return unseen("silent-root", node, diff)
    if "why" in answer:
        return unseen("silent-root", node, answer["why"])
    return judge(
        "silent-root",
        node,
        looked_at=f"docker diff: {len(diff)} changes; root file system {answer['root']['fstype']}",
        controls=[
            Control("mounted read-only, seen from outside", bool(answer["root"]["read_only"])),
            *controls,
        ],
        evidence=some(
            [
                Evidence(f"docker diff: {c['Path']}", _CHANGES[int(c["Kind"])])
                for c in sorted(diff, key=lambda change: change["Path"] != MAIL_LOG)
            ]
        ),
        kind="root",
    )


def tmpfs_row(node: str, answer: Answer) -> Finding:
    """silent-tmpfs: no file in memory but Docker's devices, named or not, no bytes in a pipe."""
    if "why" in answer:
        return unseen("silent-tmpfs", node, answer["why"])
    mounts = [mount for mount in answer["mounts"] if mount["kind"] == "tmpfs"]
    unlinked = [found for found in answer["unlinked"] if _of_memory(found["target"])]
    queues = answer["queues"]
    return judge(
        "silent-tmpfs",
        node,
        looked_at=f"{_sizes(mounts)}, open files of {answer['processes']} processes, "
        f"{queues.get('asked', 0)} pipes and sockets",
        controls=[
            Control("its mounts in memory are seen", bool(mounts)),
            *(control for mount in mounts for control in _controls(mount)),
            *_asked(queues),
        ],
        evidence=some(
            [
                *(found for mount in mounts for found in _in_memory(mount)),
                *_open(unlinked),
                *_unread(queues),
            ]
        ),
        kind="tmpfs",
    )


def volume_row(node: str, answer: Answer, controls: Sequence[Control]) -> Finding:
    """silent-volume: no file on disk but the declared ones, no mark in any, a spool in the spool.

    `controls`: the same search in the mail hosts.
    """
    if "why" in answer:
        return unseen("silent-volume", node, answer["why"])
    mounts = [mount for mount in answer["mounts"] if mount["kind"] == "disk"]
    unlinked = [found for found in answer["unlinked"] if not _of_memory(found["target"])]
    strange = answer["database"].get("strange", ())
    path = f"{SPOOL}/{DATABASE}"
    return judge(
        "silent-volume",
        node,
        looked_at=f"{_sizes(mounts)}, open files of {answer['processes']} processes",
        controls=[
            *(control for mount in mounts for control in _controls(mount)),
            Control(
                f"{path} is seen at rest, whole",
                "strange" in answer["database"],
                answer["database"].get("why", path),
            ),
            *controls,
        ],
        evidence=some(
            [
                *(found for mount in mounts for found in _on_disk(mount)),
                *(Evidence(path, excerpt(what)) for what in strange),
                *_open(unlinked),
            ]
        ),
        kind="volume",
    )


def _sizes(mounts: Sequence[Answer]) -> str:
    files = sum(len(mount.get("entries", ())) for mount in mounts)
    size = sum(mount.get("bytes", 0) for mount in mounts)
    return f"{len(mounts)} mounts, {files} names, {size:,} bytes"


def _of_memory(target: str) -> bool:
    """Whether a file that has no name any more was in memory."""
    return target.startswith(("/memfd:", "/dev/", "/run/", "/SYSV"))


def _open(unlinked: Iterable[Answer]) -> Iterator[Evidence]:
    for found in unlinked:
        where = f"/proc/{found['process']}/fd/{found['fd']}"
        what = f"open, without a name: {excerpt(found['target'])}"
        yield Evidence(where, what, Context(process=found["command"]))


def _asked(queues: Answer) -> Iterator[Control]:
    """The twin of the pipes: a byte in the witness's own was found, and the node has some."""
    if why := queues.get("why"):
        yield Control("what lies in its pipes is asked", False, why)
    else:
        yield Control("a byte in a pipe and a pair of sockets is found", queues["control"])
        yield Control("its own pipes and sockets are seen", queues["asked"] > 0)


def _unread(queues: Answer) -> Iterator[Evidence]:
    for end in queues.get("kept", ()):
        where = f"/proc/{end['process']}/fd/{end['fd']}"
        what = f"{end['target']} holds {end['bytes']:,} bytes that nobody reads"
        yield Evidence(where, what, Context(process=end["command"]))


def _controls(mount: Answer) -> Iterator[Control]:
    """The twin of one mount: a file put there was found, or files that had to be there were."""
    point = mount["point"]
    if why := mount.get("why"):
        yield Control(f"{point} can be looked through", False, why)
    elif "control" in mount:
        yield Control(f"a file put into {point} is found", bool(mount["control"]), point)
    elif mount["folder"] and mount["kind"] == "disk":
        files = [e["path"] for e in mount["entries"] if e["kind"] == "file" and e["size"]]
        yield Control(f"the files in {point} are found", bool(files), files[0] if files else "")


def _in_memory(mount: Answer) -> Iterator[Evidence]:
    for entry in mount.get("entries", ()):
        if entry["hits"] or entry["attributes"] or not _usual(mount, entry):
            yield from _told(entry)


def _usual(mount: Answer, entry: Answer) -> bool:
    """Docker's own: devices and links of /dev, links between cgroups, covers over secrets."""
    folder, _, name = entry["path"].rpartition("/")
    if not mount["folder"]:
        return bool(entry["kind"] == "device")
    if folder == "/dev":
        device = entry["kind"] == "device" and name in DEVICES
        return device or (entry["kind"] == "link" and entry["target"] == LINKS.get(name))
    return bool(folder == "/sys/fs/cgroup" and entry["kind"] == "link" and entry["uid"] == 0)


def _on_disk(mount: Answer) -> Iterator[Evidence]:
    for entry in mount.get("entries", ()):
        if entry["hits"] or not _declared(mount, entry):
            yield from _told(entry)


def _declared(mount: Answer, entry: Answer) -> bool:
    """A file that may be there; what the node can't write to is judged by marks alone."""
    names = DECLARED.get(mount["point"])
    if names is None:
        return not (mount["writable"] and mount["folder"])
    name = entry["path"].removeprefix(mount["point"] + "/")
    kind = "socket" if (mount["point"], name) == (SPOOL, SOCKET) else "file"
    return entry["kind"] == kind and name in names and not entry["attributes"]


def _told(entry: Answer) -> Iterator[Evidence]:
    """What is told of one name: each mark in it, or itself."""
    for hit in entry["hits"]:
        where = f"{entry['path']}, {hit['place']}, byte {hit['offset']}"
        yield marked(where, hit)
    if not entry["hits"]:
        more = f", attributes {', '.join(entry['attributes'])}" if entry["attributes"] else ""
        what = f"{entry['kind']} of {entry['size']} bytes, mode {entry['mode']}, uid {entry['uid']}"
        yield Evidence(entry["path"], what + more)


def dev_log(run: Run) -> dict[str, tuple[list[Evidence], list[Control]]]:
    """For claim `silent-syslog`: what of a log is in each node's /dev, and the control of it."""
    nodes = [node.name for node in run.web.topology.remailers]
    return {name: judge_dev(answer) for name, answer in ask(run, "dev", nodes).items()}


def judge_dev(answer: Answer) -> tuple[list[Evidence], list[Control]]:
    """Sockets, pipes and anything called a log in a node's /dev."""
    if "why" in answer:
        return [], [Control("the node's /dev is looked at", False, answer["why"])]
    control = Control("a socket put into its /dev is found", bool(answer["control"]), "/dev")
    return [
        Evidence(entry["path"], f"{entry['kind']} {entry['target']}".strip())
        for entry in answer["entries"]
        if entry["kind"] in {"socket", "fifo"} or "log" in entry["path"].rpartition("/")[2]
    ], [control]
