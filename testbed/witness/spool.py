"""The spools, for two claims; `spool-sealed`: seized in the middle of a load one shows no mail.

The copies are taken, searched and deleted in the witness container; only what was found leaves it.
"""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event

from testbed.agent import Answer
from testbed.contract import DATABASE, KEYS, SPOOL
from testbed.run import Run
from testbed.verdict import Control, Evidence, Finding, judge, some
from testbed.witness import forgets
from testbed.witness.inside import REST_WITHIN, ask, excerpt, marked, sought, unseen
from testbed.witness.moments import Moment

CATCH_WITHIN = 30.0
"""Seconds in which every node is to be caught with mail of this run in its spool."""

COPIES = 3
"""Copies of each node's spool that are wanted; one will do."""
APART, SPREAD = 0.5, 4.0
"""Least seconds between two copies; when all nodes were caught, how long more copies are taken."""

SECRET = f"{KEYS}/secret"
"""From which all of a spool's keys are derived."""

UNREAD = "it was not read"

WORDS = (
    "remailer.test", "sender.test", "recipient.test", "-----BEGIN PGP", "Anon-To", "Subject:",
    "Received:", "Message-ID:",
)  # fmt: skip
"""Texts that every mail of this web has some of, and no sealed spool may show."""


class Spools:
    """Reads the spools for two claims: seized in the middle of the load, and at rest around it."""

    def __init__(self, run: Run) -> None:
        """Nothing is read yet."""
        self.run = run
        self.nodes = [node.name for node in run.web.topology.remailers]
        self.seized: dict[str, Answer] = {}
        self.watching = Event()
        """Set when the spools have been looked at before the load, which may begin then."""
        self.taken = Event()
        """Set when they are seized: from then on other mail may come to lie in them."""
        self.seen: dict[Moment, dict[str, Answer]] = {}

    def look(self, moment: Moment) -> None:
        """Seize while mail lies in the spools that wasn't there when this was called; else at rest.

        Nothing but the load may write mail during a load, until `taken` is set.
        """
        if moment is Moment.DURING:
            self.seized = self._seize()
        else:
            self.seen[moment] = ask(
                self.run, "forget", self.nodes, folder=SPOOL, database=DATABASE,
                secret=SECRET, within=REST_WITHIN,
            )  # fmt: skip

    def ended(self, _: object) -> None:
        """Nobody is to wait for a look that has ended, whatever ended it."""
        self.watching.set()
        self.taken.set()

    def _seize(self) -> dict[str, Answer]:
        run = self.run
        return ask(
            run, "seize", self.nodes,
            signals={"watching": self.watching.set, "taken": self.taken.set},
            folder=SPOOL, database=DATABASE, within=CATCH_WITHIN,
            copies=COPIES, apart=APART, spread=SPREAD, words=WORDS, secret=SECRET,
            **sought(run, run.letters),
        )  # fmt: skip

    def findings(self) -> list[Finding]:
        """Two rows a node."""
        sealed = [row(node, self.seized.get(node, {"why": UNREAD})) for node in self.nodes]
        return sealed + forgets.findings(self.nodes, self.seized, self.seen, self.run.letters)


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
        yield marked(f"{SPOOL}/{hit['file']}, byte {hit['offset']}", hit)
    for what in answer["strange"]:
        yield Evidence(f"{SPOOL}/{DATABASE}", excerpt(what))
