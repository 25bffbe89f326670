"""What is asked of an attacker's answers, and what is right: here the truth comes in. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from testbed.attack.observation import Observation
from testbed.attack.truth import Truth

BLOCK = 10.0
"""Seconds of one hop that are drawn as one by the bootstrap."""


@dataclass(frozen=True)
class Asked:
    """One question: its right answer, whose answers may be exchanged under chance, its block."""

    answer: Hashable
    group: Hashable
    block: Hashable
    person: bool = False
    """The answer is a person, of whom several mails are asked: luck comes several times."""
    home: str = ""
    """Of a person: the hop at which all of his mail enters the web."""


Ask = Callable[[Observation, Truth], dict[Hashable, Asked]]


def next_hop(*kinds: str) -> Ask:
    """For each mail of these kinds: which hop did its first hop send it to?"""

    def ask(seen: Observation, truth: Truth) -> dict[Hashable, Asked]:
        return {
            number: Asked(truth.next(number), seen.entries[number].hop, _block(seen, number))
            for number in truth.of_kind(*kinds)
        }

    return ask


def next_hop_of_blocks(seen: Observation, truth: Truth) -> dict[Hashable, Asked]:
    """For each reply block that was used again: where does it lead? Asked of its first use."""
    uses: dict[str, list[int]] = defaultdict(list)
    for number in truth.of_kind("reply", "sealed"):
        uses[truth.entries[number].sender].append(number)
    return {
        own[0]: Asked(truth.next(own[0]), seen.entries[own[0]].hop, _block(seen, own[0]))
        for own in uses.values()
        if len(own) > 1
    }


def next_hop_of_people(seen: Observation, truth: Truth) -> dict[Hashable, Asked]:
    """For each sender, all of whose mails take one path: which hop comes next on it?"""
    return {
        letter.sender: Asked(letter.path[1], letter.path[0], letter.path)
        for letter in truth.entries.values()
        if letter.kind in {"forward", "reply"}
    }


def correspondent(seen: Observation, truth: Truth) -> dict[Hashable, Asked]:
    """For each sender: whom does he write to?"""
    return {
        letter.sender: Asked(letter.recipient, "", letter.path)
        for letter in truth.entries.values()
        if letter.kind in {"forward", "reply"}
    }


def recipient(*kinds: str) -> Ask:
    """For each mail of these kinds: whom is it for?"""

    def ask(seen: Observation, truth: Truth) -> dict[Hashable, Asked]:
        return {
            number: Asked(truth.entries[number].recipient, "", _block(seen, number))
            for number in truth.of_kind(*kinds)
        }

    return ask


def way_out(seen: Observation, truth: Truth) -> dict[Hashable, Asked]:
    """For each mail whose text can be read in the end: which of all that left is it?"""
    return {
        number: Asked(str(exit_), seen.entries[number].hop, _block(seen, number))
        for number, exit_ in truth.exits.items()
    }


def author(*kinds: str) -> Ask:
    """For each mail of these kinds that left and can be read: who wrote it?

    All of one person's mails leave at one hop, and enter at one: chance exchanges those who share
    the first (does the attack know who it is?), or the second (does it know where he wrote to?).
    """

    def ask(seen: Observation, truth: Truth) -> dict[Hashable, Asked]:
        return {
            number: Asked(
                letter.sender,
                seen.exits[number].hop,
                int((seen.exits[number].mail.end - seen.span[0]) / BLOCK),
                person=True,
                home=letter.path[0],
            )
            for number, letter in truth.left.items()
            if letter.kind in kinds
        }

    return ask


def writer(*kinds: str) -> Ask:
    """For each recipient of mails of these kinds that left and can be read: who writes to him?

    All that he gets leaves at one hop.
    """

    def ask(seen: Observation, truth: Truth) -> dict[Hashable, Asked]:
        return {
            letter.recipient: Asked(
                letter.sender, seen.exits[number].hop, letter.path, home=letter.path[0]
            )
            for number, letter in truth.left.items()
            if letter.kind in kinds
        }

    return ask


def _block(seen: Observation, number: int) -> Hashable:
    entry = seen.entries[number]
    return entry.hop, int((entry.mail.end - seen.span[0]) / BLOCK)
