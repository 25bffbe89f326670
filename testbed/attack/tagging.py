"""Tagging: A appends a mark to a mail on its way in, and looks for it in what comes out.

What stands after the armour goes on unchanged, in forward mail too (Cutmarks are the sender's
partial defence). It is active: the mark is in the delivered mail.
"""

from __future__ import annotations

import random

from testbed.attack.observation import Observation


def guess(seen: Observation, rng: random.Random) -> dict[int, str]:
    """For each mail that was marked, the recipient of the one that left with the mark."""
    people = sorted({one.recipient for one in seen.exits})
    answers: dict[int, str] = {}
    for number, tag in seen.tags.items():
        found = [one.recipient for one in seen.exits if tag.strip() in one.mail.data]
        if people:
            answers[number] = found[0] if found else rng.choice(people)
    return answers
