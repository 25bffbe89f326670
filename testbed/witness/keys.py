"""Claim `own-keys`: no node can read another node's private keys.

The agent compares hashes inside its container: no private key leaves it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from testbed.agent import Answer
from testbed.contract import KEYS
from testbed.run import Run
from testbed.verdict import Control, Evidence, Finding, judge, some
from testbed.witness.inside import ask, unseen


def findings(run: Run) -> list[Finding]:
    """A row a node."""
    nodes = [node.name for node in run.web.topology.remailers]
    answers = ask(run, "keys", nodes, folder=KEYS)
    return [row(node, answers) for node in nodes]


def row(node: str, answers: Mapping[str, Answer]) -> Finding:
    """The row of one node; the others' answers tell whether its uid is its own."""
    answer = answers[node]
    if "why" in answer:
        return unseen("own-keys", node, answer["why"])
    own, private = answer["own"], answer["private"]
    unknown = [other for other, its in answers.items() if "why" in its]
    return judge(
        "own-keys",
        node,
        looked_at=f"{answer['files']:,} names that it can see, its uid and its capabilities",
        controls=[
            Control("its own keys are found", 0 < own == private, f"{own} of {private} in {KEYS}"),
            Control("every other node's keys are known", not unknown, ", ".join(unknown)),
        ],
        evidence=some([*_keys(answer), *_rights(node, answer, answers)]),
        kind="key",
    )


def _keys(answer: Answer) -> Iterator[Evidence]:
    for found in answer["foreign"]:
        yield Evidence(found["path"], f"a private file of {found['owner']}")
    for mount in answer["mounted"]:
        yield Evidence(mount["point"], f"the keys of {mount['owner']} are mounted here")


def _rights(node: str, answer: Answer, answers: Mapping[str, Answer]) -> Iterator[Evidence]:
    """As root, with a capability, or as another's user it could read what it is not given."""
    if 0 in answer["uids"]:
        yield Evidence("/proc/PID/status", "it runs as root")
    for name, mask in answer["capabilities"].items():
        if int(mask, 16):
            yield Evidence("/proc/PID/status", f"it has capabilities: {name} {mask}")
    for other, its in answers.items():
        if other != node and set(answer["uids"]) & set(its.get("uids", ())):
            yield Evidence("/proc/PID/status", f"it runs as the same user as {other}")
