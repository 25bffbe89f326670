"""Chains drawn at random: `*` is any remailer of the directory.

Uniform over all chains that the rules allow: no remailer twice at all while the directory has
enough, otherwise none twice in a row; none of those to be avoided; a last one that isn't the
recipient's own remailer. The random source is passed in.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence

from remailer.directory import Directory
from remailer.errors import ChainError
from remailer.outgoing import domain_of

ANY = "*"


def draw(
    directory: Directory,
    wanted: Sequence[str],
    rng: random.Random,
    *,
    avoid: Collection[str] = (),
    recipients: Collection[str] = (),
) -> list[str]:
    """The chain with a remailer's name for each `*`; the names in it stay. Raises ChainError."""
    for name in avoid:
        if directory.named(name) is None:
            raise ChainError(f"--avoid: no remailer {name!r} in the directory")
        if name in wanted:
            raise ChainError(f"chain: {name} is to be avoided, and named")
    if ANY not in wanted:
        return list(wanted)
    free = [peer.name for peer in directory.remailers if peer.name not in avoid]
    domains = {domain_of(address) for address in recipients}
    last = [peer.name for peer in directory.remailers if peer.domain not in domains]
    allowed = [free if name == ANY else [name] for name in wanted]
    if wanted[-1] == ANY:
        allowed[-1] = [name for name in free if name in last]
    chain = _each_once(wanted, allowed, rng) or _none_after_itself(allowed, rng)
    if not chain:
        raise ChainError(
            f"chain {','.join(wanted)}: can't be drawn from {len(free)} remailers without one "
            "after itself; name fewer, or avoid fewer"
        )
    return chain


def _each_once(
    wanted: Sequence[str], allowed: Sequence[Sequence[str]], rng: random.Random
) -> list[str]:
    """The last place first, which fewer may have; then the others. Empty if there are too few."""
    chain = list(wanted)
    places = [place for place, name in enumerate(wanted) if name == ANY]
    for place in reversed(places):
        left = [name for name in allowed[place] if name not in chain]
        if not left:
            return []
        chain[place] = rng.choice(left)
    return chain


def _none_after_itself(allowed: Sequence[Sequence[str]], rng: random.Random) -> list[str]:
    """Each name is drawn by how many chains go on from it. Empty if there is none."""
    ways = [dict.fromkeys(allowed[-1], 1)]
    for names in reversed(allowed[:-1]):
        after = ways[0]
        ways.insert(0, {n: sum(after.values()) - after.get(n, 0) for n in names})
    chain: list[str] = []
    for place in ways:
        open_to = {name: count for name, count in place.items() if chain[-1:] != [name]}
        if not sum(open_to.values()):
            return []
        chain += rng.choices(list(open_to), list(open_to.values()))
    return chain
