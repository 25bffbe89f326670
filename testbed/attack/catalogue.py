"""Every attack in one table: who makes it, whence it is known, what it is asked. No I/O here.

The matrix, its report and docs/attacks.md follow this table; `expected.py` says what is expected.
Who asks for the next hop looks at what comes in and at the links between remailers; where mail
leaves the web, which names the last hop, is for `end to end` and `n-1, to the end` to look at.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from testbed.attack import (
    author,
    colluding,
    combined,
    content,
    delay,
    disclosure,
    ends,
    flow,
    intersection,
    n_minus_1,
    order,
    plant,
    questions,
    reuse,
    rhythm,
    size,
    tagging,
    windows,
)
from testbed.attack.match import Costs, at_hops, sizes, times
from testbed.attack.observation import Observation
from testbed.attack.ticks import Pupil
from testbed.attack.truth import Truth
from testbed.attack.windows import Windows

MAIL = ("forward", "reply", "sealed")
"""The kinds of mail that the passive attacks are asked about."""

Plant = Callable[[Observation, Truth, Collection[Hashable]], Observation]
Guess = Callable[[Observation, random.Random], Mapping[Any, Hashable]]
Late = Callable[[Observation, Truth, float], Observation]


@dataclass(frozen=True)
class Attack:
    """One row of the matrix."""

    id: str
    attacker: str
    """W reads wires, A alters, D has the mail hosts' logs, S sends, N runs remailers."""
    sentence: str
    """The question, and what it is answered from."""
    source: str
    guess: Guess | None
    """None for classifiers."""
    ask: questions.Ask | None
    costs: Callable[[Observation], list[Costs]] | None = None
    """What the attacker thinks of each candidate, where that makes an anonymity set."""
    trials: bool = False
    """Its questions are independent of each other: each is a round of its own."""
    plant: Plant = plant.past_everything
    """How mails are given away in a trace, for it to find where it is expected to be at chance."""
    of_exits: bool = False
    """Its questions are about exits, and the rows of its costs are all of them."""
    windows: Callable[[Observation, Truth], Windows] | None = None
    """Of a classifier: what it is taught on and asked about."""
    taught: Callable[[Observation, Sequence[int]], Pupil] | None = None
    """Of a classifier of mails: what it sees of these entries."""
    late: Late | None = None
    """The same trace, where cells with mail are late by so many seconds."""


def _combined(seen: Observation) -> list[Costs]:
    return combined.costs(at_hops(seen))


def _size(seen: Observation) -> list[Costs]:
    return sizes(at_hops(seen))


def _delay(seen: Observation) -> list[Costs]:
    return times(at_hops(seen))


NEXT = "which hop does a mail go to next, from"

ATTACKS = (
    Attack(
        "logs", "D", f"{NEXT} times and sizes in the mail hosts' logs",
        "the post of 25 August 1993", combined.guess, questions.next_hop(*MAIL), _combined,
    ),
    Attack(
        "content, forward", "W", f"{NEXT} the bytes alone; forward mail, sealed for each hop",
        "Chaum 1981", content.guess, questions.next_hop("forward"),
    ),
    Attack(
        "content, reply", "W", f"{NEXT} the bytes alone; the text behind a reply block",
        "the post of 25 August 1993", content.guess, questions.next_hop("reply"),
    ),
    Attack(
        "content, sealed reply", "W", f"{NEXT} the bytes alone; blocks with an Encrypt-Key a hop",
        "Chaum 1981", content.guess, questions.next_hop("sealed"),
    ),
    Attack(
        "block used again", "W", f"{NEXT} what is the same whenever a reply block is used",
        "Chaum 1981; Danezis, Dingledine and Mathewson 2003",
        reuse.guess, questions.next_hop_of_blocks,
    ),
    Attack(
        "size", "W", f"{NEXT} sizes alone", "Back, Möller and Stiglic 2001",
        size.guess, questions.next_hop(*MAIL), _size,
    ),
    Attack(
        "order", "W", f"{NEXT} the order alone: first in, first out", "Chaum 1981",
        order.guess, questions.next_hop(*MAIL),
    ),
    Attack(
        "time", "W", f"{NEXT} times alone", "Danezis 2004",
        delay.guess, questions.next_hop(*MAIL), _delay,
    ),
    Attack(
        "combined", "W", f"{NEXT} content, size and time together",
        "Serjantov and Danezis 2002 (the set)",
        combined.guess, questions.next_hop(*MAIL), _combined,
    ),
    Attack(
        "busy or idle", "W", "is there mail on a link in a window of 2 s, from its packets",
        "Fu, Graham, Bettati and Zhao 2003", None, None, windows=windows.of_links,
        late=plant.late_links,
    ),
    Attack(
        "late cells", "W", f"{NEXT} which link's cells are late once it has come in",
        "Fu, Graham, Bettati and Zhao 2003 (in kind)", rhythm.guess, questions.next_hop(*MAIL),
        plant=plant.late_cells, late=plant.late_links,
    ),
    Attack(
        "ticks, taught", "S, W", f"{NEXT} the next ticks of all hops; taught with own mail",
        "Fu, Graham, Bettati and Zhao 2003 (in kind)", None, questions.next_hop(*MAIL),
        plant=plant.late_cells, taught=Pupil.of, late=plant.late_links,
    ),
    Attack(
        "user's line", "W", "does a user with a proxy write, from his line's packets",
        "Fu, Graham, Bettati and Zhao 2003", None, None, windows=windows.of_lines,
        late=plant.late_lines,
    ),
    Attack(
        "flow", "W", "which hop comes next on a person's path, from all his mails",
        "Levine, Reiter, Wang and Wright 2004", flow.guess, questions.next_hop_of_people,
    ),
    Attack(
        "end to end", "W", "which mail that leaves the web is it, from content, size and time",
        "Serjantov and Danezis 2002 (the set)", ends.guess, questions.way_out, ends.costs,
    ),
    Attack(
        "author", "W", "who wrote a mail that leaves the web, from content, size and time",
        "Serjantov and Danezis 2002 (the set)", author.guess, questions.author("forward"),
        author.costs, plant=plant.from_home, of_exits=True,
    ),
    Attack(
        "author, padded", "W", "the same of mail in size classes; a proxy's line has cells only",
        "Serjantov and Danezis 2002 (the set)", author.guess, questions.author("padded"),
        author.costs, plant=plant.from_home, of_exits=True,
    ),
    Attack(
        "author, all mails", "W", "who writes to a person, from all mails that he gets",
        "Serjantov and Danezis 2002 (the set); Levine, Reiter, Wang and Wright 2004 (in kind)",
        author.of_people, questions.writer("forward", "padded"), plant=plant.from_home,
    ),
    Attack(
        "intersection", "W", "whom does a person write to: who gets mail each time he writes",
        "Berthold, Pfitzmann and Standtke 2000", intersection.guess, questions.correspondent,
    ),
    Attack(
        "disclosure", "W", "whom does a person write to: who gets more mail when he writes",
        "Danezis 2003", disclosure.guess, questions.correspondent,
    ),
    Attack(
        "tagging", "A", "whom is a mail for: a mark behind its armour comes out with it",
        "Pfitzmann and Pfitzmann 1989 (in kind)", tagging.guess, questions.recipient("tagged"),
    ),
    Attack(
        "n-1", "A, S", f"{NEXT} what leaves beside the attacker's own mail",
        "Serjantov, Dingledine and Syverson 2002", n_minus_1.guess, questions.next_hop("target"),
        trials=True,
    ),
    Attack(
        "n-1, to the end", "A, S", f"{NEXT} where mail that isn't the attacker's leaves the web",
        "Serjantov, Dingledine and Syverson 2002", n_minus_1.to_the_end,
        questions.next_hop("target"), trials=True,
    ),
    Attack(
        "colluding", "N, W", f"{NEXT} being the hop (2 of the remailers), else as combined",
        "Chaum 1981", colluding.guess, questions.next_hop(*MAIL),
    ),
)  # fmt: skip

BY_ID = {attack.id: attack for attack in ATTACKS}
