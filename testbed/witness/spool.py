"""Claim `spool-sealed`: a spool seized in the middle of a load shows nothing of any mail.

The copy is taken, searched and deleted inside the witness container; only what was found leaves it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from testbed.run import Run
from testbed.verdict import Control, Evidence, Finding, judge
from testbed.wire.canary import Canaries
from testbed.witness.inside import SPOOL, Answer, ask, excerpt, some, unseen

DATABASE = "spool.db"
TABLE = "spool"
"""The database's file in the spool's folder, and the table whose rows are mails."""

CATCH_WITHIN = 30.0
"""Seconds in which every node is to be caught with mail in its spool."""

WORDS = (
    "remailer.test", "sender.test", "recipient.test", "-----BEGIN PGP", "Anon-To", "Subject:",
    "Received:", "Message-ID:",
)  # fmt: skip
"""Texts that every mail of this web has some of, and no sealed spool may show."""


@dataclass(frozen=True)
class Seized:
    """What the agent told of each node's seized spool."""

    answers: dict[str, Answer]


def seize(run: Run) -> Seized:
    """Seize each node's spool as soon as mail lies in it; blocks, so call it in a thread."""
    nodes = [node.name for node in run.web.topology.remailers]
    token = Canaries.new(random.SystemRandom()).prefix
    return Seized(
        ask(
            run, "seize", nodes, folder=SPOOL, database=DATABASE, table=TABLE, within=CATCH_WITHIN,
            prefix=run.canaries.prefix, words=WORDS, token=token,
        )
    )  # fmt: skip


def findings(run: Run, seized: Seized) -> list[Finding]:
    """A row a node."""
    return [row(node.name, seized.answers[node.name]) for node in run.web.topology.remailers]


def row(node: str, answer: Answer) -> Finding:
    """The row of one node, from what the agent told."""
    if "why" in answer:
        return unseen("spool-sealed", node, answer["why"])
    mails = answer["rows"].get(TABLE, 0)
    size = sum(answer["files"].values())
    return judge(
        "spool-sealed",
        node,
        looked_at=f"{mails} rows, {size:,} bytes in {len(answer['files'])} files",
        controls=[
            Control(
                "the copy holds mail",
                mails > 0,
                f"look {answer['looks']}, after {answer['after']:.1f} s",
            ),
            Control("a mark beside the copy is found", bool(answer["control"])),
        ],
        evidence=some(list(_evidence(answer))),
        kind="spool",
    )


def _evidence(answer: Answer) -> Iterator[Evidence]:
    for hit in answer["hits"]:
        where = f"{SPOOL}/{hit['file']}, byte {hit['offset']}"
        yield Evidence(where, f"{hit['mark']} ({hit['form']}): {excerpt(hit['excerpt'])}")
