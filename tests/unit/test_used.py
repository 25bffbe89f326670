"""Max-Count's memory: exact, of fixed size, gone at midnight, and counted once whatever crashes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from remailer.errors import SpoolFull
from remailer.limits import Use
from remailer.seal import Leaving
from remailer.spool import DAY, Spool
from remailer.used import ENTRIES, ROW, SCHEMA, SLOTS, Used
from testbed.witness.agent import database

SECRET = b"s" * 32
ONE, OTHER = bytes(32), b"\1" * 32


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(":memory:")
    db.executescript(SCHEMA)
    yield db
    db.close()


def test_a_message_may_be_used_so_often_a_day(db: sqlite3.Connection) -> None:
    used = Used(SECRET)
    assert [used.count(db, 1, Use(ONE, 2)) for _ in range(4)] == [True, True, False, False]
    assert used.count(db, 1, Use(OTHER, 1))
    assert not used.count(db, 1, Use(b"\2" * 32, 0))
    assert used.count(db, 1, Use(ONE, 3)), "who asks for more gets more"
    assert used.count(db, 2, Use(ONE, 1)), "another day"
    assert used.count(db, 1, Use(ONE, 1)), "the clock was set back: that day is forgotten"


def test_counts_end_somewhere(db: sqlite3.Connection) -> None:
    used = Used(SECRET)
    used._seal = lambda day, slot, text: text  # type: ignore[method-assign]
    used._open = lambda day, slot, row: bytearray(row[0])  # type: ignore[method-assign,index]
    used.count(db, 1, Use(ONE, 1))
    ((slot, text),) = [row for row in db.execute("SELECT slot, sealed FROM used") if any(row[1])]
    db.execute(
        "UPDATE used SET sealed = ? WHERE slot = ?", (text[:8] + b"\xff\xff" + text[10:], slot)
    )
    assert not used.count(db, 1, Use(ONE, 65_535))
    assert used.count(db, 1, Use(ONE, 65_536))
    assert used.count(db, 1, Use(ONE, 999_999_999))


def test_it_is_of_fixed_size_and_shows_nothing(db: sqlite3.Connection) -> None:
    def look() -> dict[int, bytes]:
        return dict(db.execute("SELECT slot, sealed FROM used").fetchall())

    used = Used(SECRET)
    used.begin(db, 20_000)
    before = look()
    for number in range(200):
        assert used.count(db, 20_000, Use(number.to_bytes(32), 1))
    after = look()
    assert len(before) == len(after) == SLOTS
    for rows in (before, after):
        assert {len(row) for row in rows.values()} == {ROW}
        assert not any(database.readable(row) for row in rows.values())
    changed = sum(before[slot] != after[slot] for slot in before)
    assert changed > SLOTS // 2
    assert not any(
        number.to_bytes(32)[-8:] in row for row in after.values() for number in range(200)
    )
    used.begin(db, 20_001)
    assert not set(look().values()) & set(after.values())
    assert len(look()) == SLOTS


def test_when_a_row_is_full_what_is_new_is_refused_and_what_is_known_is_counted(
    db: sqlite3.Connection,
) -> None:
    used = Used(SECRET)
    used._seal = lambda day, slot, text: text  # type: ignore[method-assign]
    used._open = lambda day, slot, row: bytearray(row[0])  # type: ignore[method-assign,index]
    digests = [number.to_bytes(32) for number in range(SLOTS * ENTRIES)]
    known = [digest for digest in digests if used.count(db, 1, Use(digest, 2))]
    assert SLOTS * ENTRIES * 0.9 < len(known) < SLOTS * ENTRIES
    assert used.count(db, 1, Use(known[0], 2))
    assert not used.count(db, 1, Use(known[0], 2))


@pytest.mark.parametrize("damage", [b"", b"x" * ROW, "text", 7])
def test_a_damaged_row_refuses(db: sqlite3.Connection, damage: object) -> None:
    used = Used(SECRET)
    assert used.count(db, 1, Use(ONE, 9))
    db.execute("UPDATE used SET sealed = ?", (damage,))
    assert not used.count(db, 1, Use(ONE, 9))


def leaving(name: str) -> Leaving:
    return Leaving(f"{name}@x.test", b"mail", 1.0, 2)


async def test_it_is_counted_in_the_transaction_that_replaces_the_mail(tmp_path: Path) -> None:
    now = [20_000.5 * DAY]
    path = tmp_path / "spool.db"
    spool = Spool.open(path, SECRET, lambda: now[0])

    async def peeled(*uses: Use | None) -> list[str]:
        id_ = await spool.arrive(b"mail")
        assert id_
        tickets = await spool.replace(id_, [leaving("a"), leaving("b")], uses)
        again = await spool.replace(id_, [leaving("a"), leaving("b")], uses)
        assert again == [], "repeated after a crash, it is neither stored nor counted twice"
        return [ticket.domain for ticket in tickets]

    use = Use(ONE, 2)
    assert len(await peeled(use, use)) == 2, "a mail to two is used once"
    assert len(await peeled(use, None)) == 2
    assert len(await peeled(use, None)) == 1
    assert len(await peeled(use, use)) == 0
    assert len(await peeled()) == 2
    spool.close()
    spool = Spool.open(path, SECRET, lambda: now[0])
    assert len(await peeled(use, use)) == 0, "also after a restart"
    now[0] += DAY
    await spool.expire()
    assert len(await peeled(use, use)) == 2
    spool.close()
    image = path.read_bytes()
    assert database.foreign(image) == database.outside(image) == []


async def test_what_can_not_be_stored_is_not_counted(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path / "spool.db", SECRET)
    id_ = await spool.arrive(b"mail")
    assert id_
    broken = Leaving("a@x.test", b"mail", 1.0, -1)  # no row holds a negative day
    for _ in range(3):
        with pytest.raises(SpoolFull):
            await spool.replace(id_, [broken], [Use(ONE, 1)])
    assert len(await spool.replace(id_, [leaving("a")], [Use(ONE, 1)])) == 1
    spool.close()
