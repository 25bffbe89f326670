"""The agent's command line: `python3 -m testbed.witness.agent JOB`; JSON in, JSON out.

The task is an object on one line of stdin: an argument could not be as long. `nodes` in it gives
the process id of each node. What a job yields is printed as it comes, a JSON object a line; the
last line says `done`, so that a death half-way is seen.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

from testbed.witness.agent import (
    dev,
    forget,
    keys,
    log,
    look,
    memory,
    seize,
    state,
    tags,
    trace,
    watch,
)

JOBS: dict[str, Callable[[dict[str, Any]], Iterator[dict[str, Any]]]] = {
    "dev": dev.run,
    "ended": watch.ended,
    "forget": forget.run,
    "keys": keys.run,
    "log": log.run,
    "look": look.run,
    "memory": memory.run,
    "recorded": watch.recorded,
    "seize": seize.run,
    "state": state.run,
    "tags": tags.run,
    "trace": trace.run,
    "watch": watch.watch,
}


def main() -> None:
    """Do one job."""
    # Ended from outside, the jobs still take away what they put into the nodes' mounts.
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(1))
    for answer in JOBS[sys.argv[1]](json.loads(sys.stdin.readline())):
        print(json.dumps(answer), flush=True)
    print(json.dumps({"done": True}), flush=True)


if __name__ == "__main__":
    main()
