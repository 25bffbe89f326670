"""A node that is told to stop leaves an empty spool: a row that was written then is found."""

from __future__ import annotations

import sqlite3

from testbed.verdict import Status
from testbed.witness import stopped


def spool(rows: int) -> bytes:
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE spool (id BLOB PRIMARY KEY, sealed BLOB) WITHOUT ROWID")
    for number in range(rows):
        db.execute("INSERT INTO spool VALUES (?, ?)", (bytes([number]) * 16, bytes(4096)))
    db.commit()
    return db.serialize()


def test_an_empty_spool_passes() -> None:
    assert stopped.row("alpha", spool(0)).status is Status.PASS


def test_a_row_that_is_there_after_the_stop_is_found() -> None:
    finding = stopped.row("alpha", spool(1))
    assert (finding.status, finding.kind) == (Status.FAIL, "spool kept")
    assert "when the node was stopped" in finding.evidence[0].what


def test_what_is_no_spool_leaves_it_open() -> None:
    other = sqlite3.connect(":memory:")
    other.execute("CREATE TABLE log (line TEXT)")
    for image in (b"", other.serialize()):
        assert stopped.row("alpha", image).status is Status.INCONCLUSIVE
