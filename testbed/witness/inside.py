"""What all witnesses share: the agent asked for all nodes, an answer for each; rows and evidence.

A witness that cannot see is no error: whatever goes wrong becomes that node's answer `why`, and its
row inconclusive.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from docker.errors import APIError
from requests.exceptions import RequestException

from testbed import agent
from testbed.agent import Answer
from testbed.engine import explain
from testbed.errors import TestbedError
from testbed.hexdump import dump
from testbed.run import Run
from testbed.traffic import Letter, values
from testbed.verdict import Context, Control, Evidence, Finding, judge
from testbed.wire.canary import Canaries

REST_WITHIN = 8.0
"""Seconds in which a node has to come to rest: conversations end 2 s after their last mail."""

TROUBLE = (APIError, RequestException, TestbedError, ValueError, KeyError)
"""What asking may raise: Docker or the agent is gone, or has said something else."""


def ask(
    run: Run,
    job: str,
    services: Sequence[str],
    *,
    signals: Mapping[str, Callable[[], None]] = MappingProxyType({}),
    **task: Any,
) -> dict[str, Answer]:
    """Give the agent a job; an answer for every service, `{"why": ...}` where there is none.

    `signals`: what is called when it tells that word, or has ended without.
    """
    answers: dict[str, Answer] = {}
    why = "the witness died before it told"
    try:
        for told in agent.stream(run.web, job, services, **task):
            if "node" in told:
                answers[told["node"]] = told
            for word in signals.keys() & told.keys():
                signals[word]()
    except TROUBLE as error:
        why = reason(error)
    finally:
        for signal in signals.values():
            signal()
    return {name: answers.get(name) or {"why": why} for name in services}


def sought(run: Run, letters: Sequence[Letter]) -> dict[str, Any]:
    """What the agent is to look for at each node, as `agent/sought.py` reads it of a task."""
    return {
        "prefix": run.canaries.prefix,
        "token": Canaries.new(random.SystemRandom()).prefix,
        "carried": {
            node.name: {
                "values": values((x for x in letters if node.name in x.path), run.canaries),
                "names": node.names,
            }
            for node in run.web.topology.remailers
        },
    }


def none_lost(answer: Answer) -> Control:
    """The control that the recorder was told of all of a node's calls."""
    lost, why = answer["lost"], answer.get("refused")
    told = f"{lost} lost" + (f" ({why})" if why else "")
    return Control("no event was lost", not lost, told if lost else "none")


def reason(error: Exception) -> str:
    """Why something could not be looked at, on one line."""
    if isinstance(error, APIError):
        return explain(str(error.explanation or error))
    return explain(str(error) or type(error).__name__)


def unseen(claim: str, node: str, why: str) -> Finding:
    """The row of a node that could not be looked at."""
    return judge(
        claim,
        node,
        looked_at="nothing",
        controls=[Control("the witness sees the node", False, why)],
    )


def marked(where: str, hit: Answer, process: str = "") -> Evidence:
    """A mark that the agent told of, as `Hit.told` gives it, with the bytes around it."""
    around = dump(hit["excerpt"].encode("latin-1"), hit["start"])
    what = f"{hit['mark']} ({hit['form']}): {excerpt(hit['excerpt'])}"
    return Evidence(where, what, Context(around, process))


def caller(one: Mapping[str, Any]) -> str:
    """Who made a system call: of what the kernel only counted no process is known."""
    process = f"process {one['pid']}, " if "pid" in one else ""
    return f"{excerpt(one['command'])} ({process}uid {one['uid']})"


def excerpt(text: str) -> str:
    """A piece of some file for people to read, on one line."""
    shown = "".join(c if c.isprintable() and ord(c) < 127 else "." for c in text)
    return " ".join(shown.split())[:120]
