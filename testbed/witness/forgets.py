"""Claim `spool-forgets`: once its mail has gone, the node's own secret opens nothing of it.

No I/O here. What the secret still tells is said: how many transfers came, and how often reply
blocks were used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from testbed.agent import Answer
from testbed.contract import SPOOL
from testbed.traffic import Letter
from testbed.verdict import Control, Evidence, Finding, judge, some
from testbed.witness.inside import excerpt, unseen
from testbed.witness.moments import Moment


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
    for moment in (Moment.BEFORE, Moment.BETWEEN, Moment.AFTER):
        answer = readings.get(moment, {})
        if "pieces" not in answer:
            why = answer.get("why", "it was not read")
            return unseen("spool-forgets", node, f"{moment}: {why}")
    first, last = readings[Moment.BEFORE], readings[Moment.AFTER]
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
            Control("it is at rest after the load", not last["rest"], last["rest"]),
        ],
        evidence=some(
            [*_pieces(first, readings), *_uses(first, last), *_tags(first, last, transfers)]
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


def _uses(first: Answer, last: Answer) -> Iterator[Evidence]:
    """No letter of a run has a Max-Count: whatever was counted is something else."""
    used = last["used"]
    if used["opened"] < used["rows"]:
        lost = used["rows"] - used["opened"]
        yield Evidence("table used", f"{lost} rows that the node's secret does not open")
    if used["entries"] > first["used"]["entries"]:
        more = used["entries"] - first["used"]["entries"]
        yield Evidence("table used", f"{more} entries more, and no letter had a Max-Count")


def _tags(first: Answer, last: Answer, transfers: int) -> Iterator[Evidence]:
    more = last["tags"] - first["tags"]
    if more > transfers:
        yield Evidence("table transfer", f"{more} tags more, of {transfers} transfers at most")
