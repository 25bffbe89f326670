"""The agent's command line: `python3 -m testbed.witness.agent JOB TASK`; JSON in, JSON out.

TASK is an object; `nodes` in it gives the process id of each node. What a job yields is printed as
it comes, a JSON object a line; the last line says `done`, so that a death half-way is seen.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

from testbed.witness.agent import dev, keys, log, look, seize, trace

JOBS: dict[str, Callable[[dict[str, Any]], Iterator[dict[str, Any]]]] = {
    "dev": dev.run,
    "keys": keys.run,
    "log": log.run,
    "look": look.run,
    "seize": seize.run,
    "trace": trace.run,
}


def main() -> None:
    """Do one job."""
    # Ended from outside, the jobs still take away what they put into the nodes' mounts.
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(1))
    for answer in JOBS[sys.argv[1]](json.loads(sys.argv[2])):
        print(json.dumps(answer), flush=True)
    print(json.dumps({"done": True}), flush=True)


if __name__ == "__main__":
    main()
