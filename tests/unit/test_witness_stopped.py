"""A node that is told to stop leaves an empty spool and no word: what it does then is found."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from remailer.limits import Use
from remailer.seal import Leaving
from remailer.spool import DAY, Spool
from testbed.verdict import Finding, Status
from testbed.witness import stopped
from testbed.witness.agent import database, forget

TODAY = 20_000


def spool(rows: int) -> bytes:
    db = sqlite3.connect(":memory:")
    for declared in database.SCHEMA.values():
        db.execute(declared)
    for number in range(rows):
        db.execute("INSERT INTO spool VALUES (?, ?)", (bytes([number]) * 16, bytes(4096)))
    db.commit()
    return db.serialize()


def read(image: bytes, *, rest: str = "", today: int = TODAY) -> dict[str, Any]:
    """What the agent tells of a spool at rest."""
    told = {"rest": rest, "today": [today, today]}
    return told | forget.tried({"spool.db": image}, "spool.db", bytes(32))


def left(image: bytes, **others: bytes) -> Finding:
    return stopped.row("alpha", {"spool.db": image, **others}, read(spool(0)), TODAY)


def test_an_empty_spool_passes() -> None:
    assert left(spool(0)).status is Status.PASS


def test_a_row_that_is_there_after_the_stop_is_found() -> None:
    finding = left(spool(1))
    assert (finding.status, finding.kind) == (Status.FAIL, "spool kept")
    assert "when the node was stopped" in finding.evidence[0].what


def test_what_is_no_spool_leaves_it_open() -> None:
    other = sqlite3.connect(":memory:")
    other.execute("CREATE TABLE log (line TEXT)")
    for image in (b"", other.serialize()):
        assert left(image).status is Status.INCONCLUSIVE
    assert stopped.row("alpha", {}, read(spool(0)), TODAY).status is Status.INCONCLUSIVE


def test_a_file_beside_the_spool_is_found_also_if_it_is_empty() -> None:
    for data in (b"", b"took a mail"):
        finding = left(spool(0), log=data)
        assert finding.status is Status.FAIL
        assert finding.evidence[0].where.endswith("/log")


def test_what_no_spool_has_is_found() -> None:
    db = sqlite3.connect(":memory:")
    db.deserialize(spool(0))
    db.execute("PRAGMA user_version = 7")
    finding = left(db.serialize())
    assert finding.status is Status.FAIL
    assert any("user_version is 7" in e.what for e in finding.evidence)


async def ran(folder: Path, *, days: int = 0, use: bool = False) -> tuple[bytes, bytes]:
    """A spool at rest through which mail went, and after its stop; what came between."""
    now = [(TODAY + 0.5) * DAY]
    node = Spool.open(folder / "spool.db", bytes(32), lambda: now[0])
    await node.expire()
    for number in range(9):
        if id_ := await node.arrive(b"mail" * 3000, b"%d" % number):
            await node.delete(id_)
    for _ in range(100):
        await asyncio.sleep(0.05)
        if not (folder / "spool.db-wal").stat().st_size:
            break
    before = (folder / "spool.db").read_bytes()
    now[0] += days * DAY
    if days:
        await node.expire()
    if use and (id_ := await node.arrive(b"mail")):
        leaving = Leaving("a@x.test", b"mail", 1.0, 2)
        [ticket] = await node.replace(id_, [leaving], [Use(bytes(32), 9)])
        await node.delete(ticket.id)
    node.close()
    return before, (folder / "spool.db").read_bytes()


@pytest.mark.parametrize("days", [0, 1, 7])
async def test_a_real_spool_writes_nothing_at_the_stop_but_at_midnight(
    tmp_path: Path, days: int
) -> None:
    before, after = await ran(tmp_path, days=days)
    found = stopped.row("alpha", {"spool.db": after}, read(before), TODAY + days)
    assert found.status is Status.PASS
    assert (before == after) == (not days)
    if days:
        assert stopped.row("alpha", {"spool.db": after}, read(before), TODAY).evidence


async def test_a_row_of_uses_that_is_written_at_the_stop_is_found(tmp_path: Path) -> None:
    before, after = await ran(tmp_path, use=True)
    for today in (TODAY, TODAY + 1):
        found = stopped.row("alpha", {"spool.db": after}, read(before), today)
        assert (found.status, found.kind) == (Status.FAIL, "spool kept")
        assert [e.where for e in found.evidence] == ["table used"]


async def test_a_tag_that_is_written_at_the_stop_is_found(tmp_path: Path) -> None:
    before, _ = await ran(tmp_path)
    with sqlite3.connect(tmp_path / "spool.db") as db:
        db.execute("INSERT INTO transfer VALUES (?, ?)", (TODAY, bytes(16)))
    db.close()
    after = (tmp_path / "spool.db").read_bytes()
    found = stopped.row("alpha", {"spool.db": after}, read(before), TODAY)
    assert (found.status, [e.where for e in found.evidence]) == (Status.FAIL, ["table transfer"])


def test_bytes_beside_the_rows_that_are_written_at_the_stop_are_found() -> None:
    db = sqlite3.connect(":memory:")
    db.deserialize(spool(0))
    db.execute("PRAGMA default_cache_size = 77")
    finding = left(db.serialize())
    assert finding.status is Status.FAIL
    assert "beside all rows" in finding.evidence[0].what


def test_without_what_it_was_before_nothing_is_said() -> None:
    image = spool(0)
    old = read(image) | {"kept": {"used": {str(TODAY - 1): "ab"}, "transfer": {}}}
    for after in ({}, {"why": "gone"}, read(image, rest="it had 2 conversations"), old):
        found = stopped.row("alpha", {"spool.db": image}, after, TODAY)
        assert found.status is Status.INCONCLUSIVE


EXITED = {"Status": "exited", "ExitCode": 0, "Error": "", "OOMKilled": False}


def test_who_ends_without_a_word_passes() -> None:
    assert stopped.ended("alpha", EXITED).status is Status.PASS


@pytest.mark.parametrize("told", [{"ExitCode": 3}, {"Error": "x"}, {"OOMKilled": True}])
def test_a_number_that_docker_keeps_of_its_end_is_found(told: dict[str, object]) -> None:
    finding = stopped.ended("alpha", EXITED | told)
    assert finding.status is Status.FAIL
    assert next(iter(told)) in finding.evidence[0].where


def test_who_had_to_be_killed_or_still_runs_is_open() -> None:
    for told in ({"ExitCode": 137}, {"Status": "running"}):
        assert stopped.ended("alpha", EXITED | told).status is Status.INCONCLUSIVE
