"""spool-forgets: whatever a node's secret still opens in its spool at rest is found and told."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from remailer.limits import Use
from remailer.seal import HEADER, Arrived, Leaving, Sealer
from remailer.spool import Spool
from testbed.verdict import Finding, Status
from testbed.witness import forgets
from testbed.witness.agent import forget, opening, seize
from testbed.witness.moments import Moment

SECRET, OTHER = bytes(range(32)), bytes(32)
TODAY = 20_000
MAIL = b"From: alice+qwertyuiopas0001s@sender.test\r\n\r\n" + b"text\r\n" * 300
LEAVING = Leaving("bob@recipient.test", MAIL, 1.8e9, 20_900)


def read(folder: Path) -> dict[str, bytes]:
    """Copies of the files in it."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def tried(folder: Path, secret: bytes = SECRET) -> dict[str, Any]:
    """What the agent tells of a spool at rest."""
    return {"rest": "", "today": [TODAY, TODAY]} | forget.tried(read(folder), "spool.db", secret)


async def used(folder: Path, *, mails: int = 3, uses: bool = False) -> dict[str, bytes]:
    """A spool through which some mail went; a copy of it while all of that lay there."""
    spool = Spool.open(folder / "spool.db", SECRET)
    use = Use(hashlib.sha256(b"a block").digest(), 9)
    ids = []
    for number in range(mails):
        id_ = await spool.arrive(MAIL, b"<%d@x>" % number)
        assert id_
        ids += await spool.replace(id_, [LEAVING], [use if uses else None])
    middle = read(folder)
    for ticket in ids:
        await spool.delete(ticket.id)
    spool.close()
    return middle


async def test_nothing_of_a_spool_at_rest_opens_and_all_of_one_in_use_does(tmp_path: Path) -> None:
    middle = await used(tmp_path)
    rest = tried(tmp_path)
    assert rest["pieces"] == []
    assert (rest["rows"], rest["tags"], rest["used"]["entries"]) == (0, 3, 0)
    copy = seize.Copy(middle, seize.rows_of(middle, "spool.db"), 0.5)
    rows = opening.rows(copy.rows, SECRET)
    assert len(rows) >= 3
    assert all(MAIL in mail for mail in rows.values())
    logs = list(opening.pieces(middle["spool.db-wal"], SECRET))
    assert any(b"alice+qwertyuiopas0001s" in piece.text for piece in logs)
    assert not opening.rows(copy.rows, OTHER)
    assert not list(opening.pieces(middle["spool.db-wal"][:200_000], OTHER))


async def test_a_mail_that_is_gone_in_a_moment_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(SECRET)
    spool = Spool.open(tmp_path / "spool.db", SECRET)
    id_ = await spool.arrive(MAIL, None)
    assert id_
    task = {
        "nodes": {"alpha": os.getpid()}, "folder": str(tmp_path), "database": "spool.db",
        "secret": str(tmp_path / "secret"), "within": 5.0,
    }  # fmt: skip
    await asyncio.sleep(0.1)
    looking = asyncio.create_task(asyncio.to_thread(lambda: list(forget.run(task))))
    await asyncio.sleep(0.5)
    await spool.delete(id_)
    spool.close()
    [answer] = await looking
    assert (answer["rest"], answer["rows"], answer["pieces"]) == ("", 0, [])


async def test_a_mail_that_stays_is_told_as_it_lies(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(SECRET)
    spool = Spool.open(tmp_path / "spool.db", SECRET)
    await spool.arrive(MAIL, None)
    spool.close()
    task = {
        "nodes": {"alpha": os.getpid()}, "folder": str(tmp_path), "database": "spool.db",
        "secret": str(tmp_path / "secret"), "within": 0.2,
    }  # fmt: skip
    [answer] = forget.run(task)
    assert (answer["rest"], answer["rows"], len(answer["pieces"])) == ("", 1, 1)


async def test_a_tag_is_known_by_the_secret_and_the_message_id(tmp_path: Path) -> None:
    await used(tmp_path)
    image = read(tmp_path)["spool.db"]
    known = opening.tags(image, SECRET, {b"<0@x>", b"<1@x>", b"<7@x>"})
    assert sorted(known.values()) == [False, True, True]
    assert not any(opening.tags(image, OTHER, {b"<0@x>", b"<1@x>"}).values())


@pytest.mark.parametrize("cut", [0, 1, 777])
def test_a_piece_of_a_row_is_found_wherever_it_stands(cut: int) -> None:
    sealer = Sealer(SECRET)
    for entry in (LEAVING, Arrived(MAIL)):
        data = b"\x01" * cut + sealer.seal(b"i" * 16, entry)[:200]
        [piece] = opening.pieces(data, SECRET)
        assert piece.offset == cut
        assert b"alice+" in piece.text


async def test_rows_in_free_pages_in_other_tables_and_other_files_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from remailer import spool

    one = tmp_path / "free"
    schema = spool._SCHEMA.replace("secure_delete = ON", "secure_delete = OFF")
    monkeypatch.setattr(spool, "_SCHEMA", schema.replace("INCREMENTAL", "NONE"))
    await used(one)
    assert tried(one)["pieces"]
    monkeypatch.undo()
    two = tmp_path / "table"
    await used(two)
    row = Sealer(SECRET).seal(b"i" * 16, LEAVING)
    with sqlite3.connect(two / "spool.db") as db:
        db.execute("CREATE TABLE old (row BLOB)")
        db.execute("INSERT INTO old VALUES (?)", (row,))
    db.close()
    assert tried(two)["pieces"]
    three = tmp_path / "file"
    await used(three)
    (three / "spool.db-old").write_bytes(row)
    assert [piece["file"] for piece in tried(three)["pieces"]] == ["spool.db-old"]


async def test_uses_are_counted_by_whoever_has_the_secret(tmp_path: Path) -> None:
    await used(tmp_path, uses=True)
    one, other = tried(tmp_path)["used"], tried(tmp_path, OTHER)["used"]
    assert (one["rows"], one["opened"], one["entries"], len(one["days"])) == (64, 64, 1, 1)
    assert (other["rows"], other["opened"], other["entries"]) == (64, 0, 0)
    for use, changed in ((None, False), (Use(hashlib.sha256(b"a block").digest(), 9), True)):
        spool = Spool.open(tmp_path / "spool.db", SECRET)
        id_ = await spool.arrive(MAIL)
        assert id_
        [ticket] = await spool.replace(id_, [LEAVING], [use])
        await spool.delete(ticket.id)
        spool.close()
        again = tried(tmp_path)["used"]
        assert again["entries"] == 1
        assert (again["digest"] != one["digest"]) == changed


async def test_rows_that_the_secret_does_not_open_are_told(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path / "spool.db", SECRET)
    await spool.arrive(MAIL, None)
    spool.close()
    assert (tried(tmp_path)["rows"], tried(tmp_path)["shut"]) == (1, [])
    with sqlite3.connect(tmp_path / "spool.db") as db:
        row = Sealer(OTHER).seal(b"i" * 16, Arrived(MAIL))
        db.execute("INSERT INTO spool VALUES (?, ?)", (b"i" * 16, row))
    db.close()
    assert (tried(tmp_path)["rows"], tried(tmp_path)["shut"]) == (2, [(b"i" * 16).hex()])


@pytest.mark.parametrize(
    "change",
    [
        lambda text: b"\3" + text[1:],
        lambda text: text[:-1] + b"x",
        lambda text: text[: HEADER.size - 4] + bytes(4) + text[HEADER.size :],
        lambda text: text + bytes(4096),
        lambda text: text[:5],
    ],
)
def test_a_row_that_opens_to_no_mail_is_told(change: Callable[[bytes], bytes]) -> None:
    sealer, id_, nonce = Sealer(SECRET), b"i" * 16, b"n" * 12
    for entry in (LEAVING, Arrived(MAIL), Arrived(b"x")):
        row = sealer.seal(id_, entry)
        assert opening.odd({id_: row}, SECRET) == []
        text = change(sealer._aead.decrypt(row[:12], row[12:], id_))
        changed = nonce + sealer._aead.encrypt(nonce, text, id_)
        assert opening.odd({id_: changed}, SECRET) == [id_]
        assert opening.odd({id_: changed}, OTHER) == []


async def test_rows_that_lie_there_are_told_as_they_lie(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path / "spool.db", SECRET)
    id_ = await spool.arrive(MAIL, None)
    assert id_
    await asyncio.sleep(0.5)
    one = tried(tmp_path)
    spool.close()
    assert one["sealed"] == tried(tmp_path)["sealed"]
    assert [*one["sealed"]] == [id_.hex()]


def test_a_file_that_is_no_spool_says_so(tmp_path: Path) -> None:
    (tmp_path / "spool.db").write_bytes(b"torn" * 3000)
    with pytest.raises(sqlite3.Error):
        tried(tmp_path)


USED = {"rows": 64, "opened": 64, "entries": 0, "days": [TODAY], "digest": "one"}


@pytest.fixture(scope="module")
def rest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A spool at rest that has seen nothing, as the agent tells of it."""
    folder = tmp_path_factory.mktemp("rest")
    Spool.open(folder / "spool.db", SECRET).close()
    told = tried(folder) | {"used": USED}
    shutil.rmtree(folder)
    return told


SEIZED = {"opened": {"rows": 3, "piece": "spool.db, byte 5", "mark": ""}}
PIECE = {"file": "spool.db", "offset": 7, "nonce": "ab", "text": "h" * 19 + "From: alice"}


def row(rest: dict[str, Any], more: dict[str, Any], seized: dict[str, Any] = SEIZED) -> Finding:
    """The row when the last reading has something more."""
    readings = {Moment.BEFORE: rest, Moment.BETWEEN: rest, Moment.AFTER: rest | more}
    return forgets.row("alpha", seized, readings, transfers=5)


def test_a_spool_that_forgets_passes_and_tells_what_it_still_says(rest: dict[str, Any]) -> None:
    found = row(rest, {"tags": 5, "days": {str(TODAY): 5}})
    assert found.status is Status.PASS
    assert "5 transfers and 0 uses" in found.looked_at


@pytest.mark.parametrize(
    ("more", "shows"),
    [
        ({"pieces": [PIECE]}, "opens to From: alice"),
        ({"tags": 6}, "6 tags more"),
        ({"shut": ["ab" * 16]}, "does not open"),
        ({"odd": ["ab" * 16]}, "a row that is no mail"),
        ({"used": USED | {"entries": 2}}, "2 entries more"),
        ({"used": USED | {"opened": 63}}, "does not open"),
        ({"used": USED | {"digest": "other"}}, "was altered"),
        ({"kept": {"used": {str(TODAY): "other"}}}, "sealed anew"),
        ({"used": USED | {"days": [TODAY - 2]}}, f"rows of day {TODAY - 2}"),
        ({"days": {str(TODAY - 7): 1}}, f"1 tags of day {TODAY - 7}"),
        ({"days": {str(TODAY + 2): 1}}, f"1 tags of day {TODAY + 2}"),
        ({"days": {str(TODAY - 1): 1}}, f"1 tags more of day {TODAY - 1}"),
    ],
)
def test_what_it_does_not_forget_is_evidence(
    rest: dict[str, Any], more: dict[str, Any], shows: str
) -> None:
    found = row(rest, more)
    assert found.status is Status.FAIL
    assert found.kind == "spool kept"
    assert shows in found.evidence[0].what


def test_mail_that_lay_there_before_the_run_is_no_evidence(rest: dict[str, Any]) -> None:
    readings = dict.fromkeys(Moment, rest | {"pieces": [PIECE]})
    assert forgets.row("alpha", SEIZED, readings, 5).status is Status.PASS


@pytest.mark.parametrize(
    ("later", "status"),
    [
        ({"ab": ["12", "one"]}, Status.PASS),
        ({}, Status.PASS),
        ({"ab": ["12", "other"]}, Status.FAIL),
        ({"ab": ["34", "other"]}, Status.FAIL),
        ({"cd": ["12", "other"]}, Status.FAIL),
        ({"ab": ["12", "one"], "cd": ["34", "other"]}, Status.PASS),
    ],
)
def test_a_row_is_written_once(
    rest: dict[str, Any], later: dict[str, list[str]], status: Status
) -> None:
    first, last = rest | {"sealed": {"ab": ["12", "one"]}}, rest | {"sealed": later}
    readings = {Moment.BEFORE: first, Moment.BETWEEN: first, Moment.AFTER: last}
    found = forgets.row("alpha", SEIZED, readings, 5)
    assert found.status is status
    assert all(e.what == "a row that was written anew" for e in found.evidence)


@pytest.mark.parametrize(
    ("entries", "status"), [(0, Status.PASS), (2, Status.FAIL), (3, Status.FAIL)]
)
def test_a_new_day_begins_with_no_uses(rest: dict[str, Any], entries: int, status: Status) -> None:
    first = rest | {"used": USED | {"entries": 2}, "days": {str(TODAY): 4}}
    used = USED | {"days": [TODAY + 1], "digest": "empty", "entries": entries}
    days = {str(TODAY): 5, str(TODAY + 1): 3}
    last = rest | {"used": used, "today": [TODAY + 1, TODAY + 1], "days": days}
    readings = {Moment.BEFORE: first, Moment.BETWEEN: first, Moment.AFTER: last}
    assert forgets.row("alpha", SEIZED, readings, 5).status is status


def test_what_was_being_written_to_is_not_judged(rest: dict[str, Any]) -> None:
    torn = rest | {"rest": "its log was not empty", "shut": ["ab"]}
    readings = {Moment.BEFORE: rest, Moment.BETWEEN: torn, Moment.AFTER: rest}
    assert forgets.row("alpha", SEIZED, readings, 5).status is Status.PASS
    readings = {Moment.BEFORE: torn, Moment.BETWEEN: rest, Moment.AFTER: rest}
    assert forgets.row("alpha", SEIZED, readings, 5).status is Status.INCONCLUSIVE


@pytest.mark.parametrize(
    "change",
    [
        lambda seized, rest: seized.update(opened={"rows": 0, "piece": "x", "mark": ""}),
        lambda seized, rest: seized.update(opened={"rows": 1, "piece": "", "mark": ""}),
        lambda seized, rest: seized.update(why="no mail was seen") or seized.pop("opened"),
        lambda seized, rest: rest.update(rest="it had 2 conversations"),
        lambda seized, rest: rest.update(untold=1),
        lambda seized, rest: rest.update(why="gone") or rest.pop("pieces"),
    ],
)
def test_without_the_twin_nothing_is_said(
    rest: dict[str, Any], change: Callable[[dict[str, Any], dict[str, Any]], object]
) -> None:
    seized, last = dict(SEIZED), dict(rest)
    change(seized, last)
    readings = {Moment.BEFORE: rest, Moment.BETWEEN: rest, Moment.AFTER: last}
    assert forgets.row("alpha", seized, readings, 5).status is Status.INCONCLUSIVE
