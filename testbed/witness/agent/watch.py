"""Jobs `watch`, `recorded` and `ended`: the recorder of this container, asked over its socket.

`watch`: nodes {name: pid} that have not begun yet, declared (paths). One answer: blind (why system
calls are not seen, or nothing).

`recorded`: nodes, token (letters and digits, new for each call). A node's answer: `why`; or of its
files `files` {path: {count, pid, command, uid, kind, size, head, tail}}, `marked` and `folders`
(mount points), `controls` (folders in which the file that was tried is seen), `dropped`,
`unseen_files`; and of its calls `texts` {"CALL tab TEXT": {count, uid, command, and pid unless its
arguments are all numbers}}, `tried` (calls), `counts` {"UID COMPAT NUMBER": count}, `random` [hex],
`lost`, `unseen_calls`.

`ended`: nodes, which have been stopped. The same answers, until their end; nothing is tried.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

from testbed.witness.agent.recorder import SOCKET


def watch(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Have these nodes watched."""
    yield _asked("watch", pids=task["nodes"], declared=task["declared"])


def recorded(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One answer a node."""
    for name, answer in _asked("recorded", pids=task["nodes"], token=task["token"]).items():
        yield {"node": name} | answer


def ended(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One answer a node."""
    for name, answer in _asked("ended", names=list(task["nodes"])).items():
        yield {"node": name} | answer


def _asked(job: str, **task: Any) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(SOCKET)
        with connection.makefile("rw") as stream:
            stream.write(json.dumps({"job": job} | task) + "\n")
            stream.flush()
            answer: dict[str, Any] = json.loads(stream.readline())
    return answer
