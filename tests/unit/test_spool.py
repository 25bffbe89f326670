"""The spool: what was acknowledged survives kill -9; what lies on disk tells nothing."""

from __future__ import annotations

import asyncio
import resource
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from remailer.errors import SetupError
from remailer.seal import Arrived, Corrupt, Leaving, Sealer, size_class
from remailer.spool import DAY, Spool, SpoolFull

SECRET = b"s" * 32
CANARY = b"canary-7f3a"

CHILD = """
import asyncio, sys
from pathlib import Path
from remailer.spool import Spool

async def put(spool, number):
    await spool.arrive(b"mail %d " % number + b"x" * 9000, b"<%d>" % number)
    print(number, flush=True)

async def main():
    spool = Spool.open(Path(sys.argv[1]), b"s" * 32)
    number = 0
    while True:
        await asyncio.gather(*(put(spool, number + i) for i in range(8)))
        number += 8

asyncio.run(main())
"""


async def test_what_was_acknowledged_survives_kill(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE)
    assert child.stdout
    acknowledged = {int(child.stdout.readline()) for _ in range(100)}
    child.send_signal(signal.SIGKILL)
    acknowledged |= {
        int(line) for line in child.stdout.read().splitlines(True) if line[-1:] == b"\n"
    }
    child.wait()
    spool = Spool.open(path, SECRET)
    arrived, leaving = await spool.contents()
    entries = [await spool.read(id_) for id_ in arrived]
    there = [int(entry.mail.split()[1]) for entry in entries if isinstance(entry, Arrived)]
    repeats = [await spool.arrive(b"again", b"<%d>" % number) for number in acknowledged]
    spool.close()
    assert acknowledged <= set(there)
    assert len(there) == len(set(there))
    assert leaving == []
    assert repeats == [None] * len(acknowledged)


async def test_replace_is_one_step_and_order_is_not_arrival(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path / "spool.db", SECRET)
    ids = await asyncio.gather(*(spool.arrive(b"%d" % n) for n in range(50)))
    entries = [Leaving("x@Y.test", b"one", 5.5, 7), Leaving("z@y.test", b"two", 6.5, 7)]
    tickets = await spool.replace(ids[0] or b"", entries)
    again = await spool.replace(ids[0] or b"", entries)
    spool.close()
    spool = Spool.open(tmp_path / "spool.db", SECRET)
    arrived, leaving = await spool.contents()
    first = await spool.read(tickets[0].id)
    await spool.delete(tickets[0].id)
    gone = await spool.read(tickets[0].id)
    spool.close()
    assert again == []
    assert sorted(leaving, key=lambda t: t.due) == tickets
    assert [ticket.domain for ticket in tickets] == ["y.test", "y.test"]
    assert sorted(arrived) == arrived == sorted(id_ for id_ in ids[1:] if id_)
    assert first == entries[0]
    assert gone is None


async def test_disk_holds_neither_text_nor_exact_size(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path / "spool.db", SECRET)
    ids = [await spool.arrive(CANARY * n, CANARY) for n in (1,)]
    await spool.replace(ids[0] or b"", [Leaving(f"{CANARY.decode()}@x.test", CANARY * 9, 0.0, 1)])
    on_disk = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    modes = {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    spool.close()
    with sqlite3.connect(tmp_path / "spool.db") as db:
        sizes = [size for (size,) in db.execute("SELECT length(sealed) FROM spool")]
    assert len(on_disk) > 4096
    assert CANARY not in on_disk
    assert modes == {0o600}
    assert sizes == [4096]


async def test_drained_spool_is_empty_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    spool = Spool.open(path, SECRET)
    empty = path.stat().st_size
    ids = [await spool.arrive(b"x" * 100_000) for _ in range(20)]
    for id_ in ids:
        await spool.delete(id_ or b"")
    spool.close()
    assert path.stat().st_size <= max(empty, 16_384)
    assert not Path(f"{path}-wal").exists() or Path(f"{path}-wal").stat().st_size == 0


async def test_transfers_are_known_for_this_epoch_and_the_next(tmp_path: Path) -> None:
    now = 20_000.0 * DAY
    spool = Spool.open(tmp_path / "spool.db", SECRET, clock=lambda: now)
    first = await spool.arrive(b"mail", b"<id>")
    both = await asyncio.gather(*(spool.arrive(b"mail", b"<two>") for _ in range(2)))
    now += DAY
    await spool.expire()
    repeated = await spool.arrive(b"mail", b"<id>")
    now += DAY
    await spool.expire()
    forgotten = await spool.arrive(b"mail", b"<id>")
    spool.close()
    with sqlite3.connect(tmp_path / "spool.db") as db:
        kept = db.execute("SELECT epoch, length(tag) FROM transfer").fetchall()
    assert first is not None
    assert sum(id_ is not None for id_ in both) == 1
    assert repeated is None
    assert forgotten is not None
    assert kept == [(20_002, 16)]


async def test_full_disk_refuses_and_recovers(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path / "spool.db", SECRET)
    small = await spool.arrive(b"small")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        results = await asyncio.gather(
            spool.arrive(b"x" * 1_000_000, b"<big>"), spool.arrive(b"fits"), return_exceptions=True
        )
        await spool.delete(small or b"")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    big = await spool.arrive(b"x" * 1_000_000, b"<big>")
    arrived, _ = await spool.contents()
    spool.close()
    assert isinstance(results[0], SpoolFull)
    assert isinstance(results[1], bytes)
    assert set(arrived) == {results[1], big}


async def test_corrupt_row_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    spool = Spool.open(path, SECRET)
    good, bad = [await spool.arrive(text) for text in (b"good", b"bad")]
    spool.close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE spool SET sealed = zeroblob(4096) WHERE id = ?", (bad,))
        db.execute("INSERT INTO spool VALUES (x'00', 'text')")
    spool = Spool.open(path, SECRET)
    arrived, leaving = await spool.contents()
    entry = await spool.read(bad or b"")
    spool.close()
    assert (arrived, leaving, entry) == ([good], [], None)


async def test_one_process_only(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path / "spool.db", SECRET)
    with pytest.raises(SetupError, match="locked"):
        Spool.open(tmp_path / "spool.db", SECRET)
    spool.close()
    (tmp_path / "other.db").write_bytes(b"no database" * 1000)
    with pytest.raises(SetupError, match="not a database"):
        Spool.open(tmp_path / "other.db", SECRET)


def test_seal_binds_the_row_to_its_name() -> None:
    sealer = Sealer(SECRET)
    entry = Leaving("a\udce9@b.test", b"mail\x00\x00", 1.5, 9)
    row = sealer.seal(b"i" * 16, entry)
    assert sealer.open(b"i" * 16, row) == entry
    assert len(row) == 4096
    for wrong in (row[:-1] + b"!", row[:20], b"", b"\0" * 4096):
        with pytest.raises(Corrupt):
            sealer.open(b"i" * 16, wrong)
    with pytest.raises(Corrupt):
        sealer.open(b"j" * 16, row)
    with pytest.raises(Corrupt):
        Sealer(b"t" * 32).open(b"i" * 16, row)
    assert [size_class(n) for n in (1, 4096, 4097, 4_194_400)] == [4096, 4096, 8192, 8_388_608]
