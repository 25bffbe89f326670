"""The memory of the running nodes, some time after their last mail: told, nothing is claimed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from testbed.agent import Answer
from testbed.report.record import Memory
from testbed.run import Run
from testbed.traffic import Letter
from testbed.wire.canary import Canaries
from testbed.witness.inside import ask

WITHIN = 2.0
"""Seconds that the search may take, main processes first: of the first nodes. What is only told is
not to keep what is claimed waiting."""

NO_CONTROL = "its own domain was not found by the same search"
NO_TIME = "there was no time left to search it"


def report(run: Run) -> list[Memory]:
    """Search all nodes' processes now; what was found in each node."""
    nodes = run.web.topology.remailers
    asked = time.monotonic()
    answers = ask(
        run, "memory", [node.name for node in nodes], prefix=run.canaries.prefix,
        controls={node.name: node.domain for node in nodes}, within=WITHIN,
    )  # fmt: skip
    return [told(node.name, answers[node.name], asked, run.letters, run.canaries) for node in nodes]


def told(
    node: str, answer: Answer, asked: float, letters: Sequence[Letter], canaries: Canaries
) -> Memory:
    """What is said of one node; `asked`: when the search began (time.monotonic())."""
    passed = [letter for letter in letters if node in letter.path]
    if "why" in answer:
        return Memory(node, len(passed), why=answer["why"])
    processes: Sequence[Mapping[str, object]] = answer["processes"]
    main = answer["processes"][0]
    last = max((letter.seen_at for letter in passed), default=asked)
    marks = {mark for process in answer["processes"] for mark in process["marks"]}
    return Memory(
        node,
        len(passed),
        found=len({canaries.letter_of(mark) for mark in marks} - {None}),
        marks=len(marks),
        seconds=asked + main["after"] - last,
        bytes=sum(process["bytes"] for process in answer["processes"]),
        where=tuple(
            f"{process['title'][:60]}: {len(process['marks'])} marks, such as "
            f"{', '.join(list(process['marks'])[:3])}"
            for process in answer["processes"]
            if process["marks"]
        ),
        processes=len(processes),
        why="" if main["control"] else NO_CONTROL if main["whole"] else NO_TIME,
        whole=all(process["whole"] for process in answer["processes"]),
    )
