"""What the recorder saw of the nodes since before their first instruction, for four claims.

It is asked when all mail has gone; it then tries by itself, inside each node, what it has to see,
and so knows that nothing before that is still under way. Where the nodes are stopped afterwards it
is asked once more, for what a node does when nobody mails to it, and at its end.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from testbed.agent import Answer
from testbed.contract import DATABASE, SPOOL
from testbed.run import Run
from testbed.verdict import Finding
from testbed.wire.canary import Canaries
from testbed.witness import calls, message_ids, sockets, writes
from testbed.witness.inside import TROUBLE, ask, reason
from testbed.witness.spool import SECRET

WITHIN = 30.0
"""Seconds that the recorder may take for its answer."""

PLAIN = "the witness runs without CAP_SYS_ADMIN (WITNESS=plain): make down, and up again without it"


def answers(run: Run) -> dict[str, Answer]:
    """What the recorder says of each node while it runs."""
    nodes = [node.name for node in run.web.topology.remailers]
    if run.web.topology.witness != "full":
        return {node: {"why": PLAIN} for node in nodes}
    token = Canaries.new(random.SystemRandom()).prefix
    return ask(run, "recorded", nodes, token=token, within=WITHIN)


def given(answers: Mapping[str, Answer]) -> dict[str, list[str]]:
    """The random numbers that the kernel gave each node, in hex; none if not all were seen."""
    return {
        node: [] if one.get("lost") or one.get("unseen_calls") else one.get("random", [])
        for node, one in answers.items()
    }


def findings(
    run: Run, answers: Mapping[str, Answer], seized: Mapping[str, Answer]
) -> list[Finding]:
    """Four rows a node. `seized`: what was told of the spools in the middle of the load."""
    topology = run.web.topology
    nodes = [node.name for node in topology.remailers]
    tags = {} if topology.link.port == 25 else _tags(run, nodes, answers)
    rows = []
    for node in topology.remailers:
        answer = answers[node.name]
        rows += [
            writes.row(node.name, answer),
            calls.row(node.name, answer, _programs(run, node.name), node.uid),
            sockets.row(node, topology, answer),
            message_ids.row(
                node.name, answer, seized.get(node.name, {}), tags.get(node.name), run.letters
            ),
        ]
    return rows


def ended(run: Run) -> list[Finding]:
    """Three rows a node once more, when all have been stopped; none if nothing is recorded."""
    topology = run.web.topology
    if topology.witness != "full":
        return []
    nodes = [node.name for node in topology.remailers]
    told = ask(run, "ended", nodes, ended=True, within=WITHIN)
    rows = []
    for node in topology.remailers:
        answer = told[node.name]
        rows += [
            writes.row(node.name, answer),
            calls.ended(node.name, answer, _programs(run, node.name), node.uid),
            sockets.row(node, topology, answer),
        ]
    return rows


def _tags(run: Run, nodes: Sequence[str], answers: Mapping[str, Answer]) -> dict[str, Answer]:
    """What each node's secret says of the tags in its spool; of others' doings it isn't accused."""
    remailers = run.web.topology.remailers
    tags = ask(
        run,
        "tags",
        nodes,
        folder=SPOOL,
        database=DATABASE,
        secret=SECRET,
        domains={node.name: node.domain for node in remailers},
        numbers={node: message_ids.identifiers(answers[node]) for node in nodes},
    )
    odd = {node for node in nodes if message_ids.odd(node, answers[node], run.letters)}
    theirs = {node: message_ids.handed(odd - {node}, node, run.letters) for node in nodes}
    return {
        node: told | {"strange": []} if 0 < len(told.get("strange", ())) <= theirs[node] else told
        for node, told in tags.items()
    }


def _programs(run: Run, node: str) -> Answer | tuple[str, ...]:
    """The command lines that Docker starts in a node; or why they are not known."""
    try:
        config = run.web.container(node).attrs["Config"]
        # The first is the gate, which is gone when it has become the node.
        started = [*(config["Entrypoint"] or ())[1:], *(config["Cmd"] or ())]
        return " ".join(started), " ".join(config["Healthcheck"]["Test"][1:])
    except TROUBLE as error:
        return {"why": reason(error)}
