"""Job `forget`: what of a node's spool its own secret opens. The secret stays in this process.

Task: nodes {name: pid}, folder (where a node has its spool), database (the file's name in it),
secret (the path of the node's secret), within (seconds that it has to come to rest). A node's
answer: today [day before the copy, day after it] (since 1970, UTC), rest (what was still going on,
or nothing), files, bytes, digest (of the database's file), rows (of mails, in the table), shut
[hex] (names of those that it doesn't open), odd [hex] (of those that open to no mail), sealed {hex:
[nonce, digest]} (all of them, as they lie there), tags (of transfers), days {day: tags}, used
{rows, opened, entries, days, digest}, kept {table: {day: digest}} (rows that are no mail, as they
lie there), pieces [{file, offset, nonce, text}], untold (how many more pieces there are); or `why`.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

from remailer.seal import NONCE
from testbed.witness.agent import database, opening, rest, seize, walk

MOST_PIECES = 100
"""Pieces of one node that are told."""

KEPT = ("used", "transfer")
"""Tables of rows that are no mail: they stay when that has gone."""

DAY = 86_400
"""Seconds of a day, as a node counts them (remailer/spool.py)."""


def run(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One answer a node."""
    deadline = time.monotonic() + task["within"]
    for name, pid in task["nodes"].items():
        try:
            spool = f"{task['folder']}/{task['database']}"
            busy = rest.wait(partial(rest.of_spool, pid, spool), deadline)
            began = int(time.time() // DAY)
            files = seize.files_of(pid, task["folder"])
            secret = walk.read(pid, task["secret"])
            told = {"node": name, "rest": busy, "today": [began, int(time.time() // DAY)]}
            yield told | tried(files, task["database"], secret)
        except (walk.Unseen, OSError, sqlite3.Error) as error:
            yield {"node": name, "why": str(error)}


def tried(files: dict[str, bytes], name: str, secret: bytes) -> dict[str, Any]:
    """Everything in the copy of a spool tried with a secret. Raises sqlite3.Error."""
    image = files.get(name, b"")
    used = opening.uses(image, secret)
    found: list[dict[str, Any]] = []
    untold = 0
    for file, data in files.items():
        for piece in opening.pieces(data, secret, used):
            untold += len(found) == MOST_PIECES
            if len(found) < MOST_PIECES:
                found.append(
                    {
                        "file": file, "offset": piece.offset, "nonce": piece.nonce.hex(),
                        "text": piece.text.decode("latin-1"),
                    }
                )  # fmt: skip
    rows = database.rows(image)
    opened = opening.rows(rows, secret)
    return {
        "files": len(files),
        "bytes": sum(map(len, files.values())),
        "digest": hashlib.sha256(image).hexdigest(),
        "rows": len(rows),
        "shut": sorted(id_.hex() for id_ in rows if id_ not in opened),
        "odd": sorted(id_.hex() for id_ in opening.odd(rows, secret)),
        "sealed": {
            id_.hex(): [row[:NONCE].hex(), hashlib.sha256(row).hexdigest()]
            for id_, row in rows.items()
        },
        "tags": opening.count(image, "transfer"),
        "days": {str(day): count for day, count in opening.days(image).items()},
        "used": {
            "rows": used.rows, "opened": used.opened, "entries": used.entries,
            "days": used.days, "digest": used.digest,
        },
        "kept": {table: database.kept(image, table) for table in KEPT},
        "pieces": found,
        "untold": untold,
    }  # fmt: skip
