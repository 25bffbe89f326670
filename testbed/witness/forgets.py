"""Claim `spool-forgets`: once its mail has gone, the node's own secret opens nothing of it.

No I/O here. What the secret still tells is said: how many transfers came, and how often reply
blocks were used. That, and in which rows and of which days it stands, may tell nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from testbed.agent import Answer
from testbed.contract import DATABASE, SPOOL
from testbed.traffic import Letter
from testbed.verdict import Control, Evidence, Finding, judge, some
from testbed.witness.inside import excerpt, unseen
from testbed.witness.moments import Moment

MOMENTS = (Moment.BEFORE, Moment.BETWEEN, Moment.AFTER)

REMEMBERED, AHEAD = 6, 1
"""Days before today, and after it, of which a node may have tags (remailer/spool.py): it keeps
those of five days, and drops the sixth's just after midnight."""


def findings(
    nodes: Sequence[str],
    seized: Mapping[str, Answer],
    seen: Mapping[Moment, Mapping[str, Answer]],
    letters: Sequence[Letter],
) -> list[Finding]:
    """A row a node."""
    return [
        row(
            node,
            seized.get(node, {}),
            {moment: answers.get(node, {}) for moment, answers in seen.items()},
            sum(node in letter.path[1:] for letter in letters),
        )
        for node in nodes
    ]


def row(node: str, seized: Answer, readings: Mapping[Moment, Answer], transfers: int) -> Finding:
    """The row of one node; `transfers`: how many the run's letters took to it, at most."""
    for moment in MOMENTS:
        answer = readings.get(moment, {})
        if "pieces" not in answer:
            why = answer.get("why", "it was not read")
            return unseen("spool-forgets", node, f"{moment}: {why}")
    first, last = readings[Moment.BEFORE], readings[Moment.AFTER]
    rested = [(moment, readings[moment]) for moment in MOMENTS if not readings[moment]["rest"]]
    opened = seized.get("opened", {})
    why = seized.get("why", opened.get("why", ""))
    return judge(
        "spool-forgets",
        node,
        looked_at=f"every byte of {last['files']} files ({last['bytes']:,} bytes), as the start of "
        f"a row. The secret tells of {last['tags']} transfers and {last['used']['entries']} uses "
        "of blocks",
        controls=[
            Control(
                "the same secret opens rows of copies taken during the load",
                opened.get("rows", 0) > 0,
                why or f"{opened.get('rows', 0)} rows{_marked(opened)}",
            ),
            Control(
                "and pieces of them, without their names",
                bool(opened.get("piece")),
                opened.get("piece", ""),
            ),
            Control("it is at rest before the load", not first["rest"], first["rest"]),
            Control("it is at rest after the load", not last["rest"], last["rest"]),
            Control("all that opens is told", not last["untold"], f"{last['untold']} pieces more"),
        ],
        evidence=some(
            [
                *_pieces(first, readings),
                *_shut(rested),
                *_rewritten(rested),
                *_uses(rested),
                *_days(rested),
                *_tags(first, last, transfers),
            ]
        ),
        kind="spool kept",
    )


def _marked(opened: Answer) -> str:
    """What goes from remailer to remailer is opened to what is still sealed to the next."""
    return f", {opened['mark']} in one" if opened.get("mark") else ""


def _pieces(first: Answer, readings: Mapping[Moment, Answer]) -> Iterator[Evidence]:
    """What opens at rest; a mail that lay there before the run is none of it."""
    known = {piece["nonce"] for piece in first["pieces"]}
    for moment in (Moment.BETWEEN, Moment.AFTER):
        for piece in readings[moment]["pieces"]:
            if piece["nonce"] not in known:
                known.add(piece["nonce"])
                where = f"{SPOOL}/{piece['file']}, byte {piece['offset']}, {moment}"
                yield Evidence(where, f"opens to {excerpt(piece['text'][19:])}")


def _shut(rested: Sequence[tuple[Moment, Answer]]) -> Iterator[Evidence]:
    """Rows that are no mail of the node's, whenever they were written; mail may wait."""
    known: set[str] = set()
    for moment, answer in rested:
        shut = dict.fromkeys(answer["shut"], "a row that the node's secret does not open")
        for name, what in (shut | dict.fromkeys(answer["odd"], "a row that is no mail")).items():
            if name not in known:
                known.add(name)
                yield Evidence(f"{SPOOL}/{DATABASE}, row {name}, {moment}", what)


def _rewritten(rested: Sequence[tuple[Moment, Answer]]) -> Iterator[Evidence]:
    """A node writes a row once, under a name and with a nonce that no other row has."""
    known: dict[str, str] = {}
    for moment, answer in rested:
        for name, (nonce, digest) in answer["sealed"].items():
            if {known.setdefault(one, digest) for one in (name, nonce)} != {digest}:
                where = f"{SPOOL}/{DATABASE}, row {name}, {moment}"
                yield Evidence(where, "a row that was written anew")


def _uses(rested: Sequence[tuple[Moment, Answer]]) -> Iterator[Evidence]:
    """No letter of a run has a Max-Count: whatever was counted, or altered, is something else."""
    for moment, answer in rested:
        used, (began, ended) = answer["used"], answer["today"]
        if used["opened"] < used["rows"]:
            lost = used["rows"] - used["opened"]
            yield Evidence(
                "table used", f"{lost} rows that the node's secret does not open, {moment}"
            )
        for day in used["days"]:
            if not began - 1 <= day <= ended:
                yield Evidence("table used", f"rows of day {day}, {moment}: that is day {ended}")
    for (_, one), (moment, other) in pairwise(rested):
        was, now = one["used"], other["used"]
        if now["entries"] > was["entries"]:
            more = now["entries"] - was["entries"]
            yield Evidence(
                "table used", f"{more} entries more, and no letter had a Max-Count, {moment}"
            )
        elif was["days"] != now["days"] and now["entries"]:
            yield Evidence(
                "table used",
                f"{now['entries']} entries of a new day, {moment}: it begins with none",
            )
        elif was["days"] == now["days"] and was["digest"] != now["digest"]:
            yield Evidence(
                "table used", f"what it tells was altered, and no letter had a Max-Count, {moment}"
            )
        elif was["days"] == now["days"] and one["kept"]["used"] != other["kept"]["used"]:
            yield Evidence(
                "table used", f"what it tells was sealed anew, and nothing was counted, {moment}"
            )


def _days(rested: Sequence[tuple[Moment, Answer]]) -> Iterator[Evidence]:
    """The day of a transfer's tag is the day on which it came, which is no author's to choose."""
    for moment, answer in rested:
        began, ended = answer["today"]
        for day, count in answer["days"].items():
            if not began - REMEMBERED <= int(day) <= ended + AHEAD:
                yield Evidence(
                    "table transfer", f"{count} tags of day {day}, {moment}: that is day {ended}"
                )
    for (_, one), (moment, other) in pairwise(rested):
        began, ended = one["today"][0], other["today"][1]
        for day, count in other["days"].items():
            more = count - one["days"].get(day, 0)
            if more > 0 and not began <= int(day) <= ended:
                yield Evidence(
                    "table transfer",
                    f"{more} tags more of day {day}, {moment}: that is day {ended}",
                )


def _tags(first: Answer, last: Answer, transfers: int) -> Iterator[Evidence]:
    more = last["tags"] - first["tags"]
    if more > transfers:
        yield Evidence("table transfer", f"{more} tags more, of {transfers} transfers at most")
