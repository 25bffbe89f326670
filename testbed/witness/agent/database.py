"""A copy of a node's spool as a database: the rows it has, and whatever no sealed spool has.

The write-ahead log keeps what earlier transactions wrote (SQLite file format, 4.1): the database is
looked at as it was after each of them, so that mail is found that lay there for moments only.
"""

from __future__ import annotations

import bz2
import contextlib
import hashlib
import lzma
import re
import sqlite3
import struct
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import comb
from operator import itemgetter
from typing import Any

from testbed.witness.agent import pages

COLUMNS = {
    "spool": ("id", "sealed"),
    "transfer": ("epoch", "tag"),
    "used": ("epoch", "slot", "sealed"),
}
"""All that a spool has: its tables and their columns."""

SCHEMA = {
    "spool": "CREATE TABLE spool (id BLOB PRIMARY KEY, sealed BLOB NOT NULL) WITHOUT ROWID",
    "transfer": "CREATE TABLE transfer (\n    epoch INTEGER, tag BLOB, PRIMARY KEY (epoch, tag)\n"
    ") WITHOUT ROWID",
    "used": "CREATE TABLE used (\n    epoch INTEGER, slot INTEGER, sealed BLOB NOT NULL, "
    "PRIMARY KEY (epoch, slot)\n) WITHOUT ROWID",
}
"""How each is declared, to the letter: SQLite keeps the text, with whatever comments are in it."""

VALUES = {name: len(columns) for name, columns in COLUMNS.items()} | {"sqlite_master": 5}
"""How many values are in a row, of SQLite's own table, too."""

SLACK = {"spool": 128, "transfer": 512, "used": 8, "sqlite_master": 0}
"""Bytes in a page of a table that no row owns and that are not zero, at most.

When rows move, SQLite leaves numbers of where they were, and keys: of thousands of rows that came
and went up to 47, 254 and 4. In pages of mail that still lies there a whole row's beginning stays.
"""

END = 512
"""Bytes at the end of a row's last page that no row needs: size classes leave fewer."""

RULES = {
    "spool": "typeof(id) = 'blob' AND length(id) = 16 AND typeof(sealed) = 'blob'",
    "transfer": "typeof(epoch) = 'integer' AND epoch BETWEEN "
    "ifnull((SELECT max(epoch) - 6 FROM used), 0) AND "
    "ifnull((SELECT max(epoch) + 1 FROM used), 99999) "
    "AND typeof(tag) = 'blob' AND length(tag) = 16",
    "used": "typeof(epoch) = 'integer' AND epoch BETWEEN 0 AND 99999 "
    "AND typeof(slot) = 'integer' AND slot BETWEEN 0 AND 63 "
    "AND typeof(sealed) = 'blob' AND length(sealed) = 4096",
}
"""What each of their rows is: a time in seconds, say, is no day.

Transfers are of the days that a node remembers (remailer/spool.py), counted from the day of its
uses: that one may be yesterday for a moment, after midnight.
"""

USED_ROWS = 64
"""Rows of the table `used`, of one day, or none: whether they are used doesn't show."""

PIECE = 4096
"""Bytes whose values are counted together; every row is a multiple of it."""

UNEVEN = 560.0
"""Chi-square of a piece's byte values (255 degrees of freedom) above which it isn't random.

By Chernoff's bound a random piece is above it less than once in 10**21; of 10**9 pieces not one
in 10**12 runs. English, hex, padding and ciphers that move letters give thousands.
"""

MOST_STATES = 48
"""Earlier states of one copy that are looked at: the last ones."""

NAME = 16
"""Bytes of a row's name."""

UNLIKELY = 1e-6
"""How seldom random names may look as if they were not."""

_ROWS = "SELECT id, sealed FROM spool"
_INFLATED = 1 << 22
_PACKED = re.compile(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08|BZh[1-9]1AY&SY|\xfd7zXZ\0")
_WAL_HEADER, _FRAME = struct.Struct(">8I"), struct.Struct(">6I")


def states(database: bytes, log: bytes) -> Iterator[bytes]:
    """The database as it was before its log, and after each transaction in the log.

    Once the log's pages are being written into the database, the last of these states is the only
    one that is whole.
    """
    found = list(_frames(log))
    ends = [place for place, frame in enumerate(found) if frame.pages]
    last = {frame.start: frame.data for frame in found[: ends[-1] + 1 if ends else 0]}
    whole = any(database[at : at + len(data)] == data for at, data in last.items())
    if not whole:
        yield database
    image = bytearray(database)
    for place, frame in enumerate(found):
        end = frame.start + len(frame.data)
        image.extend(bytes(max(0, end - len(image))))
        image[frame.start : end] = frame.data
        if frame.pages:
            del image[frame.pages * len(frame.data) :]
            if not whole or place == ends[-1]:
                yield bytes(image)


@dataclass(frozen=True)
class _Frame:
    """A page in the log: its place in the database, whose `pages` it says if a transaction ends."""

    start: int
    data: bytes
    pages: int


def _frames(log: bytes) -> Iterator[_Frame]:
    """All valid ones (SQLite file format, 4.1)."""
    if len(log) < _WAL_HEADER.size:
        return
    magic, _, page_size, _, *salts, one, two = _WAL_HEADER.unpack_from(log)
    order = ">" if magic & 1 else "<"
    at = _WAL_HEADER.size
    while page_size and at + _FRAME.size + page_size <= len(log):
        page, pages, *salt, sum_one, sum_two = _FRAME.unpack_from(log, at)
        data = log[at + _FRAME.size : at + _FRAME.size + page_size]
        one, two = _summed(log[at : at + 8] + data, order, one, two)
        if salt != salts or not page or (one, two) != (sum_one, sum_two):
            return  # left over from before the log was begun anew, or just being written
        yield _Frame((page - 1) * page_size, data, pages)
        at += _FRAME.size + page_size


def _summed(data: bytes, order: str, one: int, two: int) -> tuple[int, int]:
    """The log's running checksum (SQLite file format, 4.2)."""
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for left, right in zip(words[::2], words[1::2], strict=True):
        one = (one + left + two) & 0xFFFFFFFF
        two = (two + right + one) & 0xFFFFFFFF
    return one, two


@contextlib.contextmanager
def opened(image: bytes) -> Iterator[sqlite3.Connection]:
    """A state as a database in memory. Reading it may raise sqlite3.Error: it was torn."""
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        db.text_factory = bytes
        # Its header says that there is a log (SQLite file format, 1.3.3); in memory there is none.
        db.deserialize(image[:18] + b"\1\1" + image[20:])
        yield db


def rows(image: bytes) -> dict[bytes, bytes]:
    """The mails' rows of one state: id → what is sealed. Raises sqlite3.Error."""
    if not has_spool(image):
        return {}  # it is just being made
    with opened(image) as db:
        return {_bytes(id_): _bytes(blob) for id_, blob in db.execute(_ROWS)}


def has_spool(image: bytes) -> bool:
    """Whether it is a spool at all. Raises sqlite3.Error."""
    if not image:
        return False
    with opened(image) as db:
        query = "SELECT 1 FROM sqlite_master WHERE name = 'spool'"
        return db.execute(query).fetchone() is not None


def uses(image: bytes) -> list[bytes]:
    """The rows of the memory of uses, sealed as they are. Raises sqlite3.Error."""
    with opened(image) as db:
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'used'").fetchone():
            return []
        return [_bytes(row[0]) for row in db.execute("SELECT sealed FROM used")]


def kept(image: bytes, table: str) -> dict[str, str]:
    """A digest of a table's rows of each day, as they lie there. Raises sqlite3.Error."""
    with opened(image) as db:
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone():
            return {}
        found = db.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
    return {
        str(day): hashlib.sha256(repr(list(own)).encode()).hexdigest()
        for day, own in groupby(found, key=itemgetter(0))
    }


def foreign(image: bytes) -> list[str]:
    """Tables, columns, rows, settings and words that no spool has. Raises sqlite3.Error."""
    with opened(image) as db:
        found = []
        schema = db.execute("SELECT rowid, type, name, tbl_name, sql FROM sqlite_master").fetchall()
        declared = {name.decode("latin-1"): (table, sql) for _, _, name, table, sql in schema}
        for _, kind, name, *_ in schema:
            if kind != b"table" or name.decode("latin-1") not in COLUMNS:
                found.append(f"{kind.decode()} {name.decode('latin-1')}, which no spool has")
        for table, columns in COLUMNS.items():
            there = [row[1].decode("latin-1") for row in db.execute(f"PRAGMA table_info({table})")]
            more = [name for name in there if name not in columns]
            if more:
                found.append(f"table {table} has columns of no spool: {', '.join(more)}")
            elif there:
                query = f"SELECT count(*) FROM {table} WHERE NOT ifnull({RULES[table]}, 0)"
                if count := db.execute(query).fetchone()[0]:
                    found.append(f"{count} rows of table {table} are of another form")
                if declared[table] != (table.encode(), SCHEMA[table].encode()):
                    found.append(
                        f"table {table} is declared in other words: {_end(declared[table])}"
                    )
        numbers = [number for number, *_ in schema]
        if numbers != [*range(1, len(numbers) + 1)]:
            found.append(f"its tables are numbered {', '.join(map(str, numbers))}")
        found += _used(db)
        for setting in ("user_version", "application_id"):
            if value := db.execute(f"PRAGMA {setting}").fetchone()[0]:
                found.append(f"{setting} is {value}")
        return found + list(_first_page(image))


def _end(declared: tuple[Any, ...]) -> str:
    """How the text of a declaration ends, or for which table it is."""
    return b" ".join(map(_bytes, declared))[-200:].decode("latin-1")


def _first_page(image: bytes) -> Iterator[str]:
    """What stands where nothing may, in the header and between the schema's list and its rows."""
    for name, where in (("of no meaning", image[72:92]), ("that keep room", image[20:21])):
        if any(where):
            yield f"header: bytes {name} are {where.hex()}"
    rows, start = struct.unpack_from(">HH", image, pages.HEADER + 3)
    if count := _written(image[pages.HEADER + 8 + 2 * rows : start]):
        yield f"page 1: {count} bytes where no row is"


def _used(db: sqlite3.Connection) -> Iterator[str]:
    """What is wrong with the memory of uses: it is of fixed size, and random to look at."""
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'used'").fetchone():
        return
    count, days = db.execute("SELECT count(*), count(DISTINCT epoch) FROM used").fetchone()
    if count not in (0, USED_ROWS) or days > 1:
        yield f"table used has {count} rows of {days} days"
    for slot, sealed in db.execute("SELECT slot, sealed FROM used").fetchall():
        if why := readable(_bytes(sealed)):
            yield f"table used, slot {slot}: {why}"


def outside(image: bytes) -> list[str]:
    """Bytes at rest in the file that belong to no row. Raises sqlite3.Error."""
    size = pages.page_size(image) * int(struct.unpack_from(">I", image, 28)[0])
    found = []
    if size != len(image):
        found.append(f"{len(image)} bytes, of which the database has {size}")
    image = image[:size]
    with opened(image) as db:
        said = [row[0].decode("latin-1") for row in db.execute("PRAGMA integrity_check")]
        if said != ["ok"]:
            return [*found, f"integrity_check: {'; '.join(said)[:200]}"]
        if free := db.execute("PRAGMA freelist_count").fetchone()[0]:
            found.append(f"{free} free pages")
        roots = db.execute("SELECT name, rootpage FROM sqlite_master").fetchall()
    for name, root in [(b"sqlite_master", 1), *roots]:
        table = name.decode("latin-1")
        if table in SLACK:
            found += _beside(table, list(pages.walked(image, root)))
    if odd := list(pages.unmapped(image)):
        found.append(f"the map of pages tells of {len(odd)} that never were: page {odd[0]}")
    return found


def _beside(table: str, walked: Sequence[pages.Row | pages.Slack]) -> Iterator[str]:
    """What is in a table's pages beside its rows, or in its rows beside their values."""
    rows = [one for one in walked if isinstance(one, pages.Row)]
    for row in rows:
        if pages.columns(row.record) != VALUES[table]:
            yield f"page {row.page}: a row of table {table} has more than its values"
    for one in walked:
        if not isinstance(one, pages.Slack) or (one.tree and table == "spool" and rows):
            continue  # while mail lies there, its pages keep beginnings of rows that were moved
        count = _written(one.data if one.tree else one.data[-END:])
        if count > (SLACK[table] if one.tree else 0):
            yield f"page {one.page} of table {table}: {count} bytes where no row is"


def _written(data: bytes) -> int:
    """Bytes that are not zero."""
    return len(data) - data.count(0)


def readable(blob: bytes) -> str:
    """Why a row can't be ciphertext, or nothing: uneven byte values, or something packed in it."""
    if len(blob) < PIECE or len(blob) & (len(blob) - 1):
        return f"{len(blob)} bytes are no size class"
    for at in range(0, len(blob), PIECE):
        if (value := chi_square(blob[at : at + PIECE])) > UNEVEN:
            return f"byte {at}: not random (chi-square {value:.0f}, of 255 expected)"
    for match in _PACKED.finditer(blob):
        if size := _unpacked(blob[match.start() :]):
            return f"byte {match.start()}: a packed text of {size} bytes, not sealed"
    return ""


def ordered(ids: Collection[bytes]) -> str:
    """Why names of rows can't be random, or nothing: too many of their bytes are all the same."""
    same = sum(len(set(values)) == 1 for values in zip(*ids, strict=False))
    chance = comb(NAME, same) * 256.0 ** -((len(ids) - 1) * same)
    alike = len(ids) > 1 and chance < UNLIKELY
    return f"{len(ids)} names of rows have {same} of {NAME} bytes in common" if alike else ""


def chi_square(data: bytes) -> float:
    """How far the byte values are from being equally frequent: about 255 when they are."""
    expected = len(data) / 256
    counts = Counter(data)
    return sum((counts[value] - expected) ** 2 for value in range(256)) / expected


def _unpacked(data: bytes) -> int:
    """Bytes of the text packed at the beginning; 0 if it isn't whole, with its checksum."""
    made: Any
    for made in (zlib.decompressobj(47), bz2.BZ2Decompressor(), lzma.LZMADecompressor()):
        with contextlib.suppress(zlib.error, OSError, EOFError, lzma.LZMAError, ValueError):
            text = made.decompress(data, _INFLATED)
            if made.eof and text:
                return len(text)
    return 0


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
