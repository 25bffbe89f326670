"""What a node does and leaves when it is told to stop: five claims once more.

`spool-forgets`, `docker-keeps`, `silent-output`, and what the recorder saw until the end. Only
where the web goes down afterwards: nobody watches a node from its first instruction twice.
"""

from __future__ import annotations

import hashlib
import io
import sqlite3
import tarfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from docker.models.containers import Container

from testbed.agent import Answer
from testbed.contract import DATABASE, SPOOL
from testbed.hexdump import dump
from testbed.run import Run
from testbed.verdict import Context, Control, Evidence, Finding, judge, some
from testbed.witness import output, recorded
from testbed.witness.agent import database, forget
from testbed.witness.inside import TROUBLE, excerpt, reason, unseen

STOP_WITHIN = 10
"""Seconds that a node may take to end."""
KILLED = 137
"""Exit code of who had to be killed: what he would have said isn't known."""


def findings(run: Run, after: Mapping[str, Answer]) -> list[Finding]:
    """Stop all nodes, whose mail has gone; six rows for each.

    `after`: what job `forget` told of their spools since the last mail (agent/forget.py).
    """
    nodes = [node.name for node in run.web.topology.remailers]
    with ThreadPoolExecutor(4) as pool:
        rows = [
            row
            for own in pool.map(lambda node: _rows(run, node, after.get(node, {})), nodes)
            for row in own
        ]
    return rows + output.findings(run) + recorded.ended(run)


def _rows(run: Run, node: str, after: Answer) -> list[Finding]:
    try:
        container = run.web.container(node)
        container.stop(timeout=STOP_WITHIN)
        container.reload()
        end = ended(node, container.attrs["State"])
        today = int(time.time() // forget.DAY)
        return [end, row(node, _files(container, SPOOL), after, today)]
    except (*TROUBLE, tarfile.TarError, sqlite3.Error) as error:
        why = f"after it was stopped: {reason(error)}"
        return [unseen(claim, node, why) for claim in ("docker-keeps", "spool-forgets")]


def _files(container: Container, folder: str) -> dict[str, bytes]:
    """What is in a folder of a stopped container's, as Docker gives it; of what is no file b""."""
    stream, _ = container.get_archive(folder)
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
        found = {}
        for member in tar.getmembers()[1:]:
            file = tar.extractfile(member) if member.isfile() else None
            found[member.name.partition("/")[2]] = file.read() if file else b""
        return found


def ended(node: str, state: Mapping[str, Any]) -> Finding:
    """How Docker has on record that a node ended: a remailer can't choose anything there."""
    usual = {"ExitCode": 0, "Error": "", "OOMKilled": False}
    killed = state.get("ExitCode") == KILLED
    return judge(
        "docker-keeps",
        node,
        looked_at=f"how it ended, when it was told to: exit code {state.get('ExitCode')}",
        controls=[
            Control(
                f"it ended by itself within {STOP_WITHIN} s",
                state.get("Status") == "exited" and not killed,
                f"{state.get('Status')}, {state.get('ExitCode')}",
            )
        ],
        evidence=[
            Evidence(f"docker inspect: State.{name}", excerpt(str(state.get(name))))
            for name, value in usual.items()
            if state.get(name, value) != value and not killed
        ],
        kind="docker",
    )


def row(node: str, files: Mapping[str, bytes], after: Answer, today: int) -> Finding:
    """One node's row, from its spool's folder after the stop. Raises sqlite3.Error.

    `after`: what it had in its spool before; `today`: the day by the time it had ended.
    """
    image = files.get(DATABASE, b"")
    why = _unread(after)
    is_spool = database.has_spool(image)
    return judge(
        "spool-forgets",
        node,
        looked_at=f"the spool after the node was stopped, {len(image):,} bytes",
        controls=[
            Control("it is a spool", is_spool, f"{SPOOL}/{DATABASE}"),
            Control("its tables were read before the stop", not why, why),
        ],
        evidence=some(
            [
                *_evidence(files, image),
                *(_written(image, after, today) if is_spool and not why else ()),
            ]
        ),
        kind="spool kept",
    )


def _evidence(files: Mapping[str, bytes], image: bytes) -> Iterator[Evidence]:
    """Rows, and whatever else a spool without mail doesn't have."""
    when = "written when the node was stopped"
    for name, data in files.items():
        if name != DATABASE:
            yield Evidence(f"{SPOOL}/{name}", f"{len(data)} bytes, {when}", Context(dump(data)))
    if not database.has_spool(image):
        return
    for id_, sealed in database.rows(image).items():
        yield Evidence(
            f"{SPOOL}/{DATABASE}, row {id_.hex()}",
            f"{len(sealed)} bytes, {when}: all mail had gone",
            Context(dump(sealed)),
        )
    for what in (*database.foreign(image), *database.outside(image)):
        yield Evidence(f"{SPOOL}/{DATABASE}", f"{excerpt(what)}, {when}")


def _unread(after: Answer) -> str:
    """Why nobody can say what a node's tables were before the stop, or nothing."""
    if "kept" not in after:
        return str(after.get("why", "they were not read"))
    began, ended = after["today"]
    if not after["kept"]["used"].keys() <= {str(began), str(ended)}:
        return f"day {ended} had just begun"
    return str(after["rest"])


def _written(image: bytes, after: Answer, today: int) -> list[Evidence]:
    """Rows that are no mail, and not those from before: only midnight changes any without mail."""
    midnight = today > after["today"][0]
    found = []
    for table, was in after["kept"].items():
        now = database.kept(image, table)
        for day in sorted(was.keys() | now.keys()):
            new = table == "used" and day not in was and day == str(today)
            if was.get(day) != now.get(day) and not (midnight and (new or day not in now)):
                what = f"rows of day {day}, written when the node was stopped"
                found.append(Evidence(f"table {table}", what))
    alike = hashlib.sha256(image).hexdigest() == after["digest"]
    if not (alike or midnight or found or after["rows"]):
        what = "bytes beside all rows, written when the node was stopped"
        found.append(Evidence(f"{SPOOL}/{DATABASE}", what))
    return found
