"""Job `tags`: whether the tags of transfers in a node's spool are tags of transfers, by its secret.

Task: nodes {name: pid}, folder, database and secret as job `forget` has them; domains {name: mail
domain} and numbers {name: [hex]}: the random numbers that the kernel gave each node. A node's
answer: tags (how many there are), strange [hex]: those of no Message-ID that another node could
have made; or `why`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

from testbed.witness.agent import opening, seize, walk


def run(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One answer a node."""
    made = {
        name: {f"<{number}@{task['domains'][name]}>".encode() for number in numbers}
        for name, numbers in task["numbers"].items()
    }
    for name, pid in task["nodes"].items():
        others = set().union(*(ids for maker, ids in made.items() if maker != name))
        try:
            image = seize.files_of(pid, task["folder"]).get(task["database"], b"")
            tags = opening.tags(image, walk.read(pid, task["secret"]), others)
            strange = [tag.hex() for tag, known in tags.items() if not known]
            yield {"node": name, "tags": len(tags), "strange": strange}
        except (walk.Unseen, OSError, sqlite3.Error) as error:
            yield {"node": name, "why": str(error)}
