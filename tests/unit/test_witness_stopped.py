"""A node that is told to stop leaves an empty spool and no word: what it does then is found."""

from __future__ import annotations

import sqlite3

import pytest

from testbed.verdict import Finding, Status
from testbed.witness import stopped
from testbed.witness.agent import database


def spool(rows: int) -> bytes:
    db = sqlite3.connect(":memory:")
    for declared in database.SCHEMA.values():
        db.execute(declared)
    for number in range(rows):
        db.execute("INSERT INTO spool VALUES (?, ?)", (bytes([number]) * 16, bytes(4096)))
    db.commit()
    return db.serialize()


def left(image: bytes, **others: bytes) -> Finding:
    return stopped.row("alpha", {"spool.db": image, **others})


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
    assert stopped.row("alpha", {}).status is Status.INCONCLUSIVE


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
