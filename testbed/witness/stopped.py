"""Claim `spool-forgets` once more, and `silent-output`: what a node writes when it is told to stop.

Only where the web goes down afterwards: nobody watches a node from its first instruction twice.
"""

from __future__ import annotations

import io
import sqlite3
import tarfile
from concurrent.futures import ThreadPoolExecutor

from docker.models.containers import Container

from testbed.contract import DATABASE, SPOOL
from testbed.hexdump import dump
from testbed.run import Run
from testbed.verdict import Context, Control, Evidence, Finding, judge, some
from testbed.witness import output
from testbed.witness.agent import database
from testbed.witness.inside import TROUBLE, reason, unseen

STOP_WITHIN = 10
"""Seconds that a node may take to end."""


def findings(run: Run) -> list[Finding]:
    """Stop all nodes, whose mail has gone; two rows for each."""
    nodes = [node.name for node in run.web.topology.remailers]
    with ThreadPoolExecutor(4) as pool:
        rows = list(pool.map(lambda node: _row(run, node), nodes))
    return rows + output.findings(run)


def _row(run: Run, node: str) -> Finding:
    try:
        container = run.web.container(node)
        container.stop(timeout=STOP_WITHIN)
        return row(node, _file(container, f"{SPOOL}/{DATABASE}"))
    except (*TROUBLE, tarfile.TarError, sqlite3.Error) as error:
        return unseen("spool-forgets", node, f"after it was stopped: {reason(error)}")


def _file(container: Container, path: str) -> bytes:
    """A file of a stopped container's, as Docker gives it."""
    stream, _ = container.get_archive(path)
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
        found = tar.extractfile(tar.getmembers()[0])
        return found.read() if found else b""


def row(node: str, image: bytes) -> Finding:
    """One node's row, from its database after the stop. Raises sqlite3.Error."""
    rows = database.rows(image)
    return judge(
        "spool-forgets",
        node,
        looked_at=f"the spool after the node was stopped, {len(image):,} bytes",
        controls=[
            Control("it is a spool", database.has_spool(image), f"{SPOOL}/{DATABASE}"),
        ],
        evidence=some(
            [
                Evidence(
                    f"{SPOOL}/{DATABASE}, row {id_.hex()}",
                    f"{len(sealed)} bytes, written when the node was stopped: all mail had gone",
                    Context(dump(sealed)),
                )
                for id_, sealed in rows.items()
            ]
        ),
        kind="spool kept",
    )
