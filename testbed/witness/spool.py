"""Claim `spool-sealed`: a spool seized in the middle of a load shows nothing of any mail.

The copies are taken, searched and deleted in the witness container; only what was found leaves it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from testbed.run import Run
from testbed.verdict import Control, Evidence, Finding, judge
from testbed.wire.canary import Canaries
from testbed.witness.inside import DATABASE, SPOOL, Answer, ask, excerpt, some, unseen

CATCH_WITHIN = 30.0
"""Seconds in which every node is to be caught with mail of this run in its spool."""

COPIES = 3
"""Copies of each node's spool that are wanted; one will do."""
APART, SPREAD = 0.5, 4.0
"""Least seconds between two copies; when all nodes were caught, how long more copies are taken."""

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
    """Seize each node's spool while mail lies in it that was not there when this was called.

    Blocks: call it in a thread when the load begins, and let nothing but the load write mail.
    """
    nodes = [node.name for node in run.web.topology.remailers]
    token = Canaries.new(random.SystemRandom()).prefix
    return Seized(
        ask(
            run, "seize", nodes, folder=SPOOL, database=DATABASE, within=CATCH_WITHIN,
            copies=COPIES, apart=APART, spread=SPREAD,
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
    copies = answer["copies"]
    size = sum(copy["bytes"] for copy in copies)
    when = ", ".join(f"{copy['after']:.1f}" for copy in copies)
    return judge(
        "spool-sealed",
        node,
        looked_at=f"{len(copies)} copies of {size:,} bytes, {answer['rows']} rows in them",
        controls=[
            Control(
                "copies taken during the load hold mail that was not there before",
                answer["rows"] > 0 and bool(copies),
                f"{len(copies)} copies, after {when} s",
            ),
            Control("a mark and a text beside the copies are found", bool(answer["control"])),
        ],
        evidence=some(list(_evidence(answer))),
        kind="spool",
    )


def _evidence(answer: Answer) -> Iterator[Evidence]:
    for hit in answer["hits"]:
        where = f"{SPOOL}/{hit['file']}, byte {hit['offset']}"
        yield Evidence(where, f"{hit['mark']} ({hit['form']}): {excerpt(hit['excerpt'])}")
    for what in answer["strange"]:
        yield Evidence(f"{SPOOL}/{DATABASE}", excerpt(what))
