"""Job `routes`: the routing tables of containers, as the kernel tells them.

Task: nodes {name: pid}. A node's answer: ipv4 and ipv6, the texts of /proc/PID/net/route and
ipv6_route (empty without IPv6), or `why`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any


def run(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One answer a node."""
    for name, pid in task["nodes"].items():
        folder = Path(f"/proc/{pid}/net")
        try:
            six = folder / "ipv6_route"
            yield {
                "node": name,
                "ipv4": (folder / "route").read_text(),
                "ipv6": six.read_text() if six.exists() else "",
            }
        except OSError as error:
            yield {"node": name, "why": f"process {pid} is gone ({error.strerror})"}
