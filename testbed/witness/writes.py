"""Claim `silent-writes`: every file that a node wrote to, as fanotify saw it. No I/O here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from testbed.agent import Answer
from testbed.contract import DATABASE, SPOOL, WRITTEN
from testbed.hexdump import dump
from testbed.verdict import Context, Control, Evidence, Finding, judge, some
from testbed.witness.inside import excerpt, unseen

CLAIM = "silent-writes"

JOURNAL = f"{SPOOL}/{DATABASE}-journal"
"""SQLite's journal of the transaction that gives a database its log. That it is opened only once
is for silent-calls to see."""
_MAGIC = "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
"""How a rollback journal begins (SQLite file format, 3)."""


def row(node: str, answer: Answer) -> Finding:
    """One node's row, from the recorder's answer."""
    if why := answer.get("why") or answer.get("unseen_files"):
        return unseen(CLAIM, node, why)
    files: Mapping[str, Answer] = answer["files"]
    dropped = answer["dropped"]
    controls = [
        Control(
            f"a file made and deleted in {folder} is seen, with its text",
            folder in answer["controls"],
            folder,
        )
        for folder in answer["folders"]
    ]
    controls += [
        Control("no event was lost", not dropped, f"{dropped} lost" if dropped else "none"),
        Control("the spool's own writes are seen", WRITTEN[0] in files, WRITTEN[0]),
    ]
    return judge(
        CLAIM,
        node,
        looked_at=f"{len(answer['marked'])} mounts, from before its first instruction; "
        f"{len(files)} files written to",
        controls=controls,
        evidence=some(list(_evidence(files))),
        kind="written",
    )


def _evidence(files: Mapping[str, Answer]) -> Iterator[Evidence]:
    for path, file in files.items():
        if path in WRITTEN or (file["kind"] == "device" and path == "/dev/null"):
            continue
        if path == JOURNAL and _is_journal(file.get("head", "")):
            continue
        head, tail = file.get("head", ""), file.get("tail", "")
        text = f": {excerpt(head + tail)}" if head or tail else ""
        yield Evidence(
            path,
            f"written to {file['count']} times, {file.get('size', 0)} bytes{text}",
            Context(
                dump=dump((tail or head).encode("latin-1")),
                process=f"{excerpt(file['command'])} (process {file['pid']}, uid {file['uid']})",
            ),
        )


def _is_journal(head: str) -> bool:
    """Whether a file begins as a journal does, has just been made, or was just emptied."""
    return head[: len(_MAGIC)] in {"", _MAGIC, "\0" * len(_MAGIC)}
