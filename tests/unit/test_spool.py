"""The spool: what was acknowledged survives kill -9; what lies on disk tells nothing."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from remailer.errors import SetupError, SpoolFull
from remailer.seal import Arrived, Corrupt, Leaving, Sealer, size_class
from remailer.spool import DAY, GIVE_UP_DAYS, RESERVE, Spool

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
    assert path.stat().st_size <= max(empty, 20_480)
    assert not Path(f"{path}-wal").exists() or Path(f"{path}-wal").stat().st_size == 0


async def test_transfers_are_known_for_longer_than_mail_is_tried(tmp_path: Path) -> None:
    now = 20_000.0 * DAY
    spool = Spool.open(tmp_path / "spool.db", SECRET, clock=lambda: now)
    first = await spool.arrive(b"mail", b"<id>")
    both = await asyncio.gather(*(spool.arrive(b"mail", b"<two>") for _ in range(2)))
    now -= DAY  # the clock was set back
    earlier = await spool.arrive(b"mail", b"<id>")
    now += (GIVE_UP_DAYS + 2) * DAY
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
    assert earlier is None
    assert repeated is None
    assert forgotten is not None
    assert kept == [(20_006, 16)]


async def test_transfers_of_a_clock_that_was_ahead_are_known(tmp_path: Path) -> None:
    now = 20_010.0 * DAY
    spool = Spool.open(tmp_path / "spool.db", SECRET, clock=lambda: now)
    await spool.arrive(b"mail", b"<id>")
    now -= 10 * DAY
    repeated = await spool.arrive(b"mail", b"<id>")
    other = await spool.arrive(b"mail", b"<other>")
    again = await spool.arrive(b"mail", b"<other>")
    spool.close()
    assert (repeated, again) == (None, None)
    assert other is not None


async def test_rows_of_another_secret_are_counted(tmp_path: Path) -> None:
    for secret in (SECRET, b"another" * 4):
        spool = Spool.open(tmp_path / "spool.db", secret)
        await spool.leave(Leaving("a@x.test", b"mail", 0.0, 1))
        unread, (_, waiting) = await spool.unread(), await spool.contents()
        spool.close()
    assert (unread, len(waiting)) == (1, 1)


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
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("UPDATE spool SET sealed = zeroblob(4096) WHERE id = ?", (bad,))
        db.execute("INSERT INTO spool VALUES (x'00', 'text')")
        db.execute("INSERT INTO spool VALUES (x'01', CAST(x'ff' AS TEXT))")
    spool = Spool.open(path, SECRET)
    arrived, leaving = await spool.contents()
    entry = await spool.read(bad or b"")
    spool.close()
    assert (arrived, leaving, entry) == ([good], [], None)


async def test_one_process_only(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path / "spool.db", SECRET)
    with pytest.raises(SetupError, match="another node"):
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
    for wrong in (row[:-1] + bytes([row[-1] ^ 1]), row[:20], b"", b"\0" * 4096):
        with pytest.raises(Corrupt):
            sealer.open(b"i" * 16, wrong)
    with pytest.raises(Corrupt):
        sealer.open(b"j" * 16, row)
    with pytest.raises(Corrupt):
        Sealer(b"t" * 32).open(b"i" * 16, row)
    assert [size_class(n) for n in (1, 4096, 4097, 4_194_400)] == [4096, 4096, 8192, 8_388_608]


async def test_a_reopened_spool_has_no_shared_memory_file(tmp_path: Path) -> None:
    for _ in range(2):
        spool = Spool.open(tmp_path / "spool.db", SECRET)
        await spool.arrive(b"mail")
        files = {file.name for file in tmp_path.iterdir()}
        spool.close()
        assert files == {"spool.db", "spool.db-wal"}


@pytest.fixture
def small_volume(tmp_path: Path) -> Iterator[Path]:
    """64 MiB, of which a spool may fill half."""
    folder = tmp_path / "volume"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "small", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small volume needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def test_a_full_volume_can_be_drained_also_after_a_stop(small_volume: Path) -> None:
    spool = Spool.open(small_volume / "spool.db", SECRET)
    ids: list[bytes | None] = []
    with contextlib.suppress(SpoolFull):
        while True:
            ids.append(await spool.arrive(b"x" * 1_000_000, b"<%d>" % len(ids)))
    left = shutil.disk_usage(small_volume).free
    with contextlib.suppress(SpoolFull):
        for id_ in ids[:-1]:
            await spool.replace(id_ or b"", [Leaving("a@b.test", b"y" * 2_000_000, 0.0, 1)] * 2)
    spool.close()
    spool = Spool.open(small_volume / "spool.db", SECRET)
    await spool.expire()
    arrived, leaving = await spool.contents()
    for one in (*arrived, *(ticket.id for ticket in leaving)):
        await spool.delete(one)
    spool.close()
    spool = Spool.open(small_volume / "spool.db", SECRET)
    again = await spool.arrive(b"x" * 1_000_000)
    spool.close()
    assert len(ids) > 5
    assert left > RESERVE * 3 // 4  # the log grows the file afterwards
    assert leaving
    assert again


async def test_little_room_is_for_deleting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool.open(tmp_path / "spool.db", SECRET)
    entry = Leaving("a@b.test", b"x", 0.0, 1)
    ids = [await spool.arrive(b"x") or b"" for _ in range(3)]
    room = [RESERVE + 10_000]  # less than two rows, each written twice
    monkeypatch.setattr(
        "remailer.commits.os.statvfs", lambda _: SimpleNamespace(f_bavail=room[0], f_frsize=1)
    )
    one_of = await asyncio.gather(*(spool.arrive(b"x") for _ in range(3)), return_exceptions=True)
    room[0] = RESERVE - 1
    with pytest.raises(SpoolFull):
        await spool.arrive(b"x")
    assert await spool.replace(ids[0], [entry])
    room[0] = RESERVE // 2 - 1
    with pytest.raises(SpoolFull):
        await spool.replace(ids[1], [entry])
    assert await spool.replace(ids[1], []) == []
    monkeypatch.setattr("remailer.commits.os.statvfs", _no_disk)
    with pytest.raises(SpoolFull):
        await spool.arrive(b"x")
    await spool.delete(ids[2])
    arrived, leaving = await spool.contents()
    spool.close()
    assert sum(isinstance(one, SpoolFull) for one in one_of) == 2
    assert (len(arrived), len(leaving)) == (1, 1)


async def test_a_busy_spool_empties_its_log_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remailer.commits._IDLE", 60.0)
    monkeypatch.setattr("remailer.commits._LONGEST", 0.0)
    spool = Spool.open(tmp_path / "spool.db", SECRET)
    tidied: list[int] = []
    monkeypatch.setattr(spool._commits, "_tidy", lambda: tidied.append(1))
    for _ in range(5):
        await spool.arrive(b"x")
    busy = len(tidied)  # the last one may still be under way
    spool.close()
    assert busy >= 4


async def test_a_passing_error_is_no_damaged_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool.open(tmp_path / "spool.db", SECRET)
    id_ = await spool.arrive(b"mail") or b""
    stock = spool._sealer.open
    monkeypatch.setattr(spool._sealer, "open", _failing)
    with pytest.raises(SpoolFull):
        await spool.read(id_)
    with pytest.raises(SpoolFull):
        await spool.contents()
    monkeypatch.setattr(spool._sealer, "open", stock)
    assert await spool.read(id_) == Arrived(b"mail")
    spool.close()


def _failing(*_: object) -> None:
    raise sqlite3.OperationalError("disk I/O error")


def _no_disk(*_: object) -> None:
    raise OSError("input/output error")
