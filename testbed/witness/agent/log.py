"""Job `log`: a file of each service, searched for marks as the nodes' files are.

Task: nodes {name: pid}, path, prefix (the run's marks). An answer: bytes, and marks {mark: offset}
with each mark's first place; or `why`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from testbed.wire.canary import Canaries
from testbed.witness.agent import walk


def run(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One answer a service."""
    marks = Canaries(task["prefix"])
    for name, pid in task["nodes"].items():
        try:
            entry = walk.entry(pid, task["path"])
            size = walk.search(pid, entry, marks)
        except (walk.Unseen, OSError) as error:
            yield {"node": name, "why": str(error)}
            continue
        found: dict[str, int] = {}
        for hit in entry.hits:
            if hit["place"] == "contents" and hit["form"] == "raw":
                found.setdefault(hit["mark"], hit["offset"])
        yield {"node": name, "bytes": size, "marks": found}
