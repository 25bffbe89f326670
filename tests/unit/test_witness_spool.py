"""The witness of sealed spools: real databases, sealed, in clear and in disguise."""

from __future__ import annotations

import asyncio
import bz2
import hashlib
import os
import random
import sqlite3
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from remailer.spool import _SCHEMA, Spool
from testbed.verdict import Status
from testbed.wire.canary import Canaries
from testbed.witness import spool
from testbed.witness.agent import database, look, pages, seize
from testbed.witness.agent.sought import Sought

ME = os.getpid()
RUN = Canaries.new(random.Random(1))
TOKEN = Canaries.new(random.Random(2))
RNG = random.Random(3)
SCHEMA = (
    _SCHEMA.replace("PRAGMA locking_mode = EXCLUSIVE;", "")
    + """
WITH RECURSIVE slot(n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM slot WHERE n < 63)
INSERT INTO used SELECT 20000, n, randomblob(4096) FROM slot;
"""
)
TASK = {
    "prefix": RUN.prefix, "token": TOKEN.prefix,
    "carried": {"alpha": {"values": [RUN.mark(3, "b")], "names": ["alpha"]}},
    "words": ["sender.test", "Subject:"],
    "database": "spool.db", "copies": 2, "apart": 0.0, "spread": 0.2, "within": 0.4,
}  # fmt: skip
SOUGHT = Sought.of(TASK, "alpha")
TEXT = b"".join(b"From: a%d, line of a mail %x\r\n" % (n, n * 7919) for n in range(900))


def make(folder: Path, *more: str) -> sqlite3.Connection:
    db = sqlite3.connect(folder / "spool.db", isolation_level=None)
    db.executescript(SCHEMA)
    for statement in more:
        db.execute(statement)
    return db


def insert(db: sqlite3.Connection, blob: bytes) -> None:
    db.execute("INSERT INTO spool (id, sealed) VALUES (?, ?)", (RNG.randbytes(16), blob))


def copied(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def told(folder: Path) -> dict[str, Any]:
    files = copied(folder)
    copy = seize.Copy(files, seize.rows_of(files, "spool.db"), 0.5)
    return seize.searched([copy], TASK, SOUGHT)


def test_rows_are_found_that_lay_there_for_one_transaction_only(tmp_path: Path) -> None:
    db = make(tmp_path)
    insert(db, RNG.randbytes(8192))
    db.execute("DELETE FROM spool")
    insert(db, RNG.randbytes(4096))
    files = copied(tmp_path)
    assert {len(blob) for blob in seize.rows_of(files, "spool.db").values()} == {8192, 4096}
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert len(seize.rows_of(copied(tmp_path), "spool.db")) == 1
    assert seize.rows_of({}, "spool.db") == {}
    with pytest.raises(sqlite3.Error):
        seize.rows_of({"spool.db": b"torn" * 2000}, "spool.db")
    db.close()


def test_a_log_that_is_half_in_the_database_gives_no_torn_rows(tmp_path: Path) -> None:
    """Copied in the midst of a checkpoint, an earlier state had rows with zeros in them."""
    db = make(tmp_path)
    for size in (8192, 65536, 8192):
        insert(db, RNG.randbytes(size))
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.execute("PRAGMA secure_delete = ON")
    db.execute("DELETE FROM spool WHERE length(sealed) = 65536")
    insert(db, RNG.randbytes(16384))
    insert(db, RNG.randbytes(4096))
    files = copied(tmp_path)
    old, log = files["spool.db"], files["spool.db-wal"]
    whole = list(database.states(old, log))
    assert len(whole) == 4
    assert {len(blob) for blob in database.rows(whole[0]).values()} == {8192, 65536}
    for count in range(1, len(whole[-1]) // 4096 + 1):
        at = count * 4096
        half = whole[-1][:at] + old[at:]
        rows = seize.rows_of({"spool.db": half, "spool.db-wal": log}, "spool.db")
        assert rows == database.rows(whole[-1])
    db.close()


def packed(size: int, pack: Callable[[bytes], bytes]) -> bytes:
    made = pack(TEXT)
    return made + RNG.randbytes(size - len(made))


@pytest.mark.parametrize(
    ("blob", "clean"),
    [
        (RNG.randbytes(4096), True),
        (RNG.randbytes(65536), True),
        (RNG.randbytes(4095), False),
        (RNG.randbytes(12288), False),
        (RNG.randbytes(4096) + TEXT[:4096], False),
        (bytes((byte + 1) % 256 for byte in TEXT[:4096]), False),
        (TEXT[:4096].hex().encode()[:4096], False),
        (RNG.randbytes(2000) + bytes(2096), False),
        (packed(16384, zlib.compress), False),
        (packed(16384, bz2.compress), False),
        (RNG.randbytes(29) + packed(16355, zlib.compress), False),
    ],
)
def test_a_row_is_random_bytes_in_a_size_class(blob: bytes, clean: bool) -> None:
    assert (database.readable(blob) == "") == clean


def test_random_pieces_are_far_below_the_threshold() -> None:
    worst = max(database.chi_square(RNG.randbytes(database.PIECE)) for _ in range(300))
    assert 255 < worst < 400 < database.UNEVEN


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("", ""),
        ("CREATE TABLE mail_log (time, size, peer)", "table mail_log"),
        ("DELETE FROM used WHERE slot = 7", "table used has 63 rows of 1 days"),
        ("UPDATE used SET epoch = 19999 WHERE slot = 7", "table used has 64 rows of 2 days"),
        ("UPDATE used SET sealed = zeroblob(4096) WHERE slot = 7", "table used, slot 7: byte 0"),
        ("CREATE INDEX log ON spool (sealed)", "index log"),
        ("ALTER TABLE spool ADD COLUMN peer", "columns of no spool: peer"),
        ("INSERT INTO transfer VALUES (1764021600, randomblob(16))", "1 rows of table transfer"),
        ("INSERT INTO transfer VALUES (20000, 'alice')", "1 rows of table transfer"),
        ("INSERT INTO transfer VALUES (19993, randomblob(16))", "1 rows of table transfer"),
        ("INSERT INTO transfer VALUES (19994, randomblob(16))", ""),
        ("INSERT INTO transfer VALUES (20001, randomblob(16))", ""),
        ("INSERT INTO transfer VALUES (20002, randomblob(16))", "1 rows of table transfer"),
        ("INSERT INTO spool VALUES ('alice', randomblob(4096))", "1 rows of table spool"),
        ("PRAGMA user_version = 7", "user_version is 7"),
    ],
)
def test_what_no_spool_has_is_evidence(tmp_path: Path, statement: str, what: str) -> None:
    db = make(tmp_path, *([statement] if statement else []))
    insert(db, RNG.randbytes(4096))
    seized = told(tmp_path)["strange"]
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    rest = look._database(ME, str(tmp_path / "spool.db"))["strange"]
    db.close()
    for strange in (seized, rest):
        assert any(what in each for each in strange) if what else strange == []
        assert len(strange) == bool(what) or "ADD COLUMN" in statement


def test_bytes_outside_the_database_and_free_pages_are_evidence(tmp_path: Path) -> None:
    db = make(tmp_path)
    insert(db, RNG.randbytes(16384))
    assert "why" in look._database(ME, str(tmp_path / "spool.db"))  # its log is not empty
    db.execute("DELETE FROM spool")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert "free pages" in look._database(ME, str(tmp_path / "spool.db"))["strange"][0]
    db.executescript("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE)")
    assert look._database(ME, str(tmp_path / "spool.db")) == {"strange": []}
    with (tmp_path / "spool.db").open("ab") as file:
        file.write(b"12:00 78\n")
    [what] = look._database(ME, str(tmp_path / "spool.db"))["strange"]
    assert "of which the database has" in what
    db.close()


def test_a_comment_in_a_declaration_is_evidence(tmp_path: Path) -> None:
    db = make(tmp_path)
    db.execute("PRAGMA writable_schema = ON")
    db.execute("UPDATE sqlite_master SET sql = sql || '--6e6f7465' WHERE name = 'used'")
    insert(db, RNG.randbytes(4096))
    [seized] = told(tmp_path)["strange"]
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    [rest] = look._database(ME, str(tmp_path / "spool.db"))["strange"]
    db.close()
    assert seized == rest
    assert rest.startswith("table used is declared in other words")
    assert "--6e6f7465" in rest


def test_tables_have_the_numbers_that_they_got(tmp_path: Path) -> None:
    db = make(tmp_path)
    db.execute("PRAGMA writable_schema = ON")
    db.execute("UPDATE sqlite_master SET rowid = 1764021600 WHERE name = 'used'")
    assert told(tmp_path)["strange"] == ["its tables are numbered 1, 2, 1764021600"]
    db.close()


def walked(image: bytes, table: str) -> list[pages.Row | pages.Slack]:
    with database.opened(image) as db:
        query = "SELECT rootpage FROM sqlite_master WHERE name = ?"
        (root,) = db.execute(query, (table,)).fetchone()
    return list(pages.walked(image, root))


def used_for_long(path: Path) -> bytes:
    """A spool through which hundreds of mails went, of all sizes, on several days; at rest."""
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript(_SCHEMA)
    rng = random.Random(7)
    for day in range(20_000, 20_008):
        ids = [rng.randbytes(16) for _ in range(50)]
        db.execute("BEGIN")
        db.execute("DELETE FROM used")
        used = [(day, slot, rng.randbytes(4096)) for slot in range(64)]
        db.executemany("INSERT INTO used VALUES (?, ?, ?)", used)
        db.execute("DELETE FROM transfer WHERE epoch < ?", (day - 5,))
        db.execute("COMMIT")
        for id_ in ids:
            row = rng.randbytes(4096 << rng.choice([0, 0, 1, 2, 4]))
            db.execute("INSERT INTO spool VALUES (?, ?)", (id_, row))
            db.execute("INSERT INTO transfer VALUES (?, ?)", (day, rng.randbytes(16)))
        rng.shuffle(ids)
        for id_ in ids:
            db.execute("DELETE FROM spool WHERE id = ?", (id_,))
    db.executescript("PRAGMA incremental_vacuum(10000); PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    return path.read_bytes()


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return used_for_long(tmp_path_factory.mktemp("long") / "spool.db")


def test_what_rows_leave_behind_them_is_far_below_the_most(long: bytes) -> None:
    assert database.outside(long) == database.foreign(long) == []
    for table, most in database.SLACK.items():
        if table == "sqlite_master":
            continue
        found = [one for one in walked(long, table) if isinstance(one, pages.Slack)]
        tree = [len(one.data) - one.data.count(0) for one in found if one.tree]
        assert max(tree) <= most // 2
        assert not any(any(one.data) for one in found if not one.tree)


def test_all_rows_are_walked_through_with_all_of_their_bytes(long: bytes) -> None:
    for table, query in (
        ("used", "SELECT sealed FROM used"),
        ("transfer", "SELECT tag FROM transfer"),
    ):
        rows = [one.record for one in walked(long, table) if isinstance(one, pages.Row)]
        with database.opened(long) as db:
            values = [value for (value,) in db.execute(query)]
        assert len(rows) == len(values)
        assert {record[-len(values[0]) :] for record in rows} == set(values)
        assert {pages.columns(record) for record in rows} == {len(database.COLUMNS[table])}


@pytest.mark.parametrize(
    ("at", "size", "what"),
    [
        ("header", 20, "header: bytes of no meaning"),
        ("gap", 3000, "page 1: 3000 bytes where no row is"),
        ("gap", 1, "page 1: 1 bytes where no row is"),
        ("map", 600, "the map of pages tells of"),
        ("end", 400, "of table used: 400 bytes where no row is"),
        ("tree", 60, "of table used: 6"),
    ],
)
def test_bytes_where_no_row_is_are_evidence(long: bytes, at: str, size: int, what: str) -> None:
    found = [one for one in walked(long, "used") if isinstance(one, pages.Slack)]
    leaf = next(one for one in found if one.tree and one.page != found[0].page)
    last = next(one for one in found if not one.tree)
    place = {
        "header": 72,
        "gap": 300,
        "map": 2 * 4096 - 1 - size,
        "end": last.page * 4096 - size,
        "tree": (leaf.page - 1) * 4096 + 200,
    }[at]
    written = bytearray(long)
    written[place : place + size] = b"\x77" * size
    strange = {*database.outside(bytes(written)), *database.foreign(bytes(written))}
    assert any(what in each for each in strange)


def test_a_value_that_no_column_has_is_evidence(tmp_path: Path) -> None:
    db = make(tmp_path)
    db.execute("ALTER TABLE transfer ADD COLUMN note")
    db.execute("INSERT INTO transfer VALUES (20000, randomblob(16), 'alice')")
    db.execute("PRAGMA writable_schema = ON")
    sql = database.SCHEMA["transfer"]
    db.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'transfer'", (sql,))
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    strange = database.outside((tmp_path / "spool.db").read_bytes())
    assert any("a row of table transfer has more than its values" in each for each in strange)


def test_the_declarations_are_those_of_a_real_spool(tmp_path: Path) -> None:
    Spool.open(tmp_path / "spool.db", bytes(32)).close()
    with database.opened((tmp_path / "spool.db").read_bytes()) as db:
        found = db.execute("SELECT name, sql FROM sqlite_master").fetchall()
    assert {name.decode(): sql.decode() for name, sql in found} == database.SCHEMA


async def test_a_real_spool_has_nothing_where_no_row_is(tmp_path: Path) -> None:
    spool_of_node = Spool.open(tmp_path / "spool.db", bytes(32))
    await spool_of_node.expire()
    for turn in range(4):
        mails = (RNG.randbytes(RNG.randrange(30_000)) for _ in range(60))
        taken = await asyncio.gather(*(spool_of_node.arrive(mail, mail[:20]) for mail in mails))
        for id_ in taken[turn:]:
            if id_:
                await spool_of_node.delete(id_)
    spool_of_node.close()
    image = (tmp_path / "spool.db").read_bytes()
    assert database.outside(image) == database.foreign(image) == []


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        (b"", set()),
        (b"From: a@SENDER.test", {"sender.test"}),
        (b"x" + b"c2VuZGVyLnRlc3Q=", {"sender.test"}),
        (b"Subject: x", {"Subject:"}),
        (RUN.mark(3, "b").encode(), {RUN.mark(3, "b")}),
        (hashlib.md5(RUN.mark(3, "b").encode()).digest(), {RUN.mark(3, "b")}),
    ],
)
def test_a_seized_spool_is_searched_in_all_forms(
    tmp_path: Path, text: bytes, marks: set[str]
) -> None:
    db = make(tmp_path)
    insert(db, text + RNG.randbytes(4096 - len(text)))
    answer = told(tmp_path)
    db.close()
    assert {hit["mark"] for hit in answer["hits"]} == marks
    assert (answer["control"], answer["rows"], answer["strange"]) == (True, 1, [])


def test_what_a_later_copy_has_more_is_searched_with_its_right_place() -> None:
    first = RNG.randbytes(3 * seize.OVERLAP)
    second = first + RNG.randbytes(10) + b"Subject: x"
    copies = [seize.Copy({"log": data}, {}, 0.5) for data in (first, second)]
    [hit] = {(h["file"], h["offset"]) for h in seize._searched_once(copies, SOUGHT)}
    assert hit == ("log (copy 2)", len(first) + 10)
    assert seize._as_before(first, first[:-1] + b"x") == 2 * seize.OVERLAP


def test_without_its_control_found_a_seized_spool_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = make(tmp_path)
    monkeypatch.setattr(Sought, "search", lambda self, data: iter(()))
    assert not told(tmp_path)["control"]
    db.close()


def test_only_rows_that_were_not_there_before_are_mail_of_the_run(tmp_path: Path) -> None:
    db = make(tmp_path)
    insert(db, RNG.randbytes(4096))
    task = TASK | {"nodes": {"alpha": ME}, "folder": str(tmp_path)}
    began, taken, answer = seize.run(task)
    assert (began, taken) == ({"watching": True}, {"taken": True})
    assert "never seen with mail of this run" in answer["why"]
    one = seize.Watched(ME)
    seize._look(one, task, 0.0)
    assert one.copies == []
    insert(db, RNG.randbytes(4096))
    db.execute("DELETE FROM spool")  # it has left again before we look
    seize._look(one, task, 0.0)
    assert len(one.copies) == 1
    db.close()


COPY = {"after": 0.4, "rows": 2, "bytes": 4096}
MARK = {
    "file": "spool.db-wal (copy 1)", "offset": 9, "form": "raw", "mark": "m", "excerpt": "m",
    "start": 9,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({}, Status.PASS),
        ({"rows": 0}, Status.INCONCLUSIVE),
        ({"copies": []}, Status.INCONCLUSIVE),
        ({"control": False}, Status.INCONCLUSIVE),
        ({"why": "process 5 is gone"}, Status.INCONCLUSIVE),
        ({"hits": [MARK]}, Status.FAIL),
        ({"strange": ["table mail_log, which no spool has"]}, Status.FAIL),
    ],
)
def test_spool_row(changed: dict[str, Any], status: Status) -> None:
    answer = {"rows": 2, "copies": [COPY], "hits": [], "strange": [], "control": True}
    finding = spool.row("alpha", answer | changed)
    assert finding.status == status
    if status is Status.FAIL:
        assert finding.kind == "spool"
        assert finding.evidence[0].where.startswith("/var/lib/remailer/spool/spool.db")


def test_names_of_rows_that_begin_with_the_time_are_no_chance() -> None:
    rng = random.Random(5)
    now = 1_795_644_000_000_000_000
    for count in (2, 3, 40):
        timed = [(now + 10**9 * n).to_bytes(8) + rng.randbytes(8) for n in range(count)]
        assert "in common" in database.ordered(timed)


def test_random_names_of_rows_pass_however_few_there_are() -> None:
    rng = random.Random(6)
    for _ in range(2_000):
        assert database.ordered([rng.randbytes(16) for _ in range(rng.randint(0, 9))]) == ""
