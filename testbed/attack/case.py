"""One web under attack: all that was recorded of it, and every attack's score on that. Pure."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import attrgetter

from testbed.attack import combined, score, statistics, windows
from testbed.attack.catalogue import ATTACKS, BY_ID, Attack, Late
from testbed.attack.expected import ALPHA, HARMLESS, Expected, expected
from testbed.attack.load import Load
from testbed.attack.logs import read
from testbed.attack.match import at_hops, pairs
from testbed.attack.observation import Observation
from testbed.attack.observe import observe
from testbed.attack.plant import LATE, visible
from testbed.attack.questions import Asked
from testbed.attack.score import Chain, Crossing, Score, Sets
from testbed.attack.truth import Handed, Truth, truth
from testbed.topology import Topology
from testbed.wire.capture import CaptureFile
from testbed.wire.packets import Wire

STRICT = ALPHA / (2 * len(ATTACKS))
"""The p below which a planted leak counts as found: a field's is corrected for as many at most."""
COLLUDING = 2
"""Remailers that N runs: the web's first ones."""
DRAWN = ("time", "combined")
DRAWN_MAILS, CHAINS = 24, 5

View = tuple[Observation, Truth]
"""What an attacker saw, and what is true of it."""
Question = tuple[int, Hashable]
"""Which view it is about, and what in it."""


@dataclass(frozen=True)
class Tape:
    """What one web gave: the logs of its mail hosts, and when what was sent. Its wire is in a file
    still, which may be dissected when the web is gone."""

    topology: Topology
    rate: float
    load: Load
    captured: CaptureFile
    spans: tuple[tuple[float, float], ...]
    """Of the main load, then of each round: seconds since 1970."""
    logs: Mapping[str, Sequence[str]]
    """The lines of each host's log, by its name; none where there is no host."""
    arrived: int
    """Mails of the main load that were delivered."""
    handed: tuple[Handed, ...]
    """When users with proxies handed their mails in."""
    seconds: float
    """From the first mail's sealing to the end of the capture."""

    def trouble(self, wire: Wire) -> str:
        """Why what was captured can't be trusted, if it can't."""
        return self.captured.why or wire.trouble


@dataclass(frozen=True)
class Case:
    """A column of the matrix: what every attack got at one link stage with one pool."""

    stage: str
    pool: str
    seed: int
    rate: float
    """Mails a second into each hop."""
    sent: int
    arrived: int
    seconds: float
    scores: dict[str, Score | None]
    paths: dict[str, tuple[Crossing, ...]]
    """What an attack with costs takes mails for, at one hop for a while: to be drawn."""
    trouble: str = ""
    chains: tuple[Chain, ...] = ()
    """The first few that the logs alone give."""

    @property
    def pooled(self) -> bool:
        """Whether there was a pool."""
        return self.pool != "off"


def attacked(tape: Tape, wire: Wire, seed: int) -> Case:
    """Let every attack try. Where the capture can't be trusted, nothing is asked."""
    topology, trouble = tape.topology, tape.trouble(wire)
    stage, pooled = stage_of(topology), topology.pool != "off"
    scores: dict[str, Score | None] = {}
    paths: dict[str, tuple[Crossing, ...]] = {}
    chains: tuple[Chain, ...] = ()
    if not trouble:
        seen = views(tape, wire)
        lots = f"{seed} {tape.spans[0][0]}"  # another tape of the same mail has other lots
        for attack in ATTACKS:
            wanted = expected(attack.id, stage, pool=pooled)
            if wanted is not Expected.NOTHING:
                rng = random.Random(f"{lots} {attack.id}")
                scores[attack.id] = scored(attack, seen[_view(attack)], wanted, rng)
        chains = written(*seen["D"][0], random.Random(seed))
        paths = {name: drawn(BY_ID[name], *seen["W"][0], random.Random(seed)) for name in DRAWN}
    sent = len(tape.load.main)
    return Case(
        stage, topology.pool, seed, tape.rate, sent, tape.arrived, tape.seconds, scores, paths,
        trouble, chains,
    )  # fmt: skip


def stage_of(topology: Topology) -> str:
    """The column: its link stage, or `proxy` where users have proxies."""
    return "proxy" if topology.proxies else str(topology.link)


def written(seen: Observation, told: Truth, rng: random.Random) -> tuple[Chain, ...]:
    """The first chains that the logs give, if there are logs: of whom, and by which hops."""
    answers = combined.guess(seen, rng)
    return tuple(
        Chain(one.sender, one.hop, answers[number], answers[number] == told.next(number))
        for number, one in enumerate(seen.entries)
        if number in answers and number in told.entries
    )[:CHAINS]


def drawn(
    attack: Attack, seen: Observation, told: Truth, rng: random.Random
) -> tuple[Crossing, ...]:
    """What an attack takes the first mails into the web's first hop for."""
    rooms = at_hops(seen)[:1]
    if not rooms or attack.costs is None or not told.entries:
        return ()
    found = pairs(rooms, attack.costs(seen)[:1], rng)
    since = seen.span[0]
    return tuple(
        Crossing(
            seen.entries[number].mail.end - since,
            transfer.start - since,
            number in told.entries and told.next(number) == name,
        )
        for number, (name, transfer) in list(found.items())[:DRAWN_MAILS]
    )


def views(tape: Tape, wire: Wire) -> dict[str, list[View]]:
    """What each attacker saw: W the main load, S and A each round, D the logs, N from inside."""
    whole = observe(wire, tape.topology)
    seen = whole.during(*tape.spans[0])
    told = replace(truth(seen, tape.load.main), handed=tape.handed)
    tags = {n: letter.tag for n, letter in told.entries.items() if letter.tag}
    ours = seen.hops[:COLLUDING]
    inside = {n: told.next(n) for n, entry in enumerate(seen.entries)
              if n in told.entries and entry.hop in ours}  # fmt: skip
    written = read(tape.logs, tape.topology, *tape.spans[0])
    rounds: list[View] = []
    for span, letters in zip(tape.spans[1:], tape.load.rounds, strict=True):
        alone = whole.during(*span)
        known = truth(alone, letters)
        own = {n: known.next(n) for n in known.of_kind("own")}
        friends = frozenset(one.recipient for one in letters if one.kind == "own")
        rounds.append((replace(alone, own=own, friends=friends), known))
    return {
        "W": [(seen, told)],
        "A": [(replace(seen, tags=tags), told)],
        "N": [(replace(seen, inside=inside), told)],
        "D": [(written, truth(written, tape.load.main))],
        "S": rounds,
    }


def _view(attack: Attack) -> str:
    return {"A, S": "S", "N, W": "N", "S, W": "W"}.get(attack.attacker, attack.attacker)


def scored(
    attack: Attack, seen: Sequence[View], wanted: Expected, rng: random.Random
) -> Score | None:
    """An attack's score; with a leak planted as well, where it is expected to be at chance."""
    if attack.windows is not None:
        return _of_windows(attack, *seen[0], wanted, rng)
    asked = _asked(attack, seen)
    if not asked:
        return None
    if attack.trials:
        guesses = _guesses(attack, [one for one, _ in seen], rng)
        return score.of_trials(guesses, asked, 1 / (len(seen[0][0].hops) - 1))
    got = _answered(attack, [one for one, _ in seen], asked, rng)
    # Of cells most are cover: how many there are is nobody's anonymity.
    mails = attack.of_exits or wanted is not Expected.CHANCE
    if mails and attack.costs is not None and (costs := attack.costs(seen[0][0])):
        if attack.of_exits:
            costs = [costs[0][sorted(key for _, key in asked if isinstance(key, int))]]
        got = replace(got, sets=Sets.of(costs))
    if wanted is Expected.CHANCE:
        leaks = visible(got.n, got.chance, STRICT)
        # Not every attack sees all that is given away: then it has to be shown more.
        found = next((leak for leak in leaks if _finds(attack, seen, leak, rng)), None)
        got = replace(got, leak=found, planted=found is not None)
        if attack.late is not None:
            again = partial(_answered, attack, asked=asked, rng=rng)
            least = _least(attack.late, *seen[0], lambda late: again([late]))
            got = replace(got, late=least, planted=bool(found and least))
    return got


def _of_windows(
    attack: Attack,
    seen: Observation,
    told: Truth,
    wanted: Expected,
    rng: random.Random,
) -> Score | None:
    """A classifier's score; also where cells with mail are late, if it shall be at chance."""
    found, late = attack.windows, attack.late
    assert found is not None
    got = windows.scored(found(seen, told), rng)
    if got is None or late is None or wanted not in {Expected.CHANCE, Expected.QUIET}:
        return got

    least = _least(late, seen, told, lambda one: windows.scored(found(one, told), rng))
    return replace(got, late=least, planted=least is not None)


def _least(
    late: Late, seen: Observation, told: Truth, again: Callable[[Observation], Score | None]
) -> float | None:
    """The least seconds by which the cells of all mails have to be late for an attack to see it."""
    for seconds in LATE:
        got = again(late(seen, told, seconds))
        if got is not None and got.p < STRICT:
            return seconds
    return None


def _asked(attack: Attack, seen: Sequence[View]) -> dict[Question, Asked]:
    asked: dict[Question, Asked] = {}
    for place, (observation, told) in enumerate(seen):
        if attack.ask is not None:
            asked |= {(place, key): one for key, one in attack.ask(observation, told).items()}
    return asked


def _guesses(
    attack: Attack, seen: Sequence[Observation], rng: random.Random
) -> dict[Question, Hashable]:
    given: dict[Question, Hashable] = {}
    for place, observation in enumerate(seen):
        if attack.guess is not None:
            given |= {(place, key): one for key, one in attack.guess(observation, rng).items()}
    return given


def _answered(
    attack: Attack,
    seen: Sequence[Observation],
    asked: Mapping[Question, Asked],
    rng: random.Random,
) -> Score:
    """What it has right of all that is asked."""
    if attack.taught is not None:
        numbers = [key for _, key in asked if isinstance(key, int)]
        return score.of_taught(attack.taught(seen[0], numbers), asked, rng)
    return score.of_answers(_guesses(attack, seen, rng), asked, rng)


def _finds(attack: Attack, seen: Sequence[View], leak: float, rng: random.Random) -> bool:
    """Whether the attack does better than chance once this share of the mail is given away."""
    asked = _asked(attack, seen)
    chosen = rng.sample(list(asked), max(1, round(leak * len(asked))))
    altered = [
        attack.plant(observation, told, [key for at, key in chosen if at == place])
        for place, (observation, told) in enumerate(seen)
    ]
    return _answered(attack, altered, asked, rng).p < STRICT


def holm(
    cases: Sequence[Case], of: Callable[[Score], float] = attrgetter("p")
) -> dict[tuple[str, str, str], float]:
    """(attack, stage, pool) → p that holds for a stage's fields that should be harmless together,
    or for its others: what is at chance at one stage is made no safer by what wins at another.

    `of`: which p.
    """
    families: dict[tuple[str, bool], dict[Hashable, float]] = defaultdict(dict)
    for case in cases:
        for attack, one in case.scores.items():
            if one is not None:
                harmless = expected(attack, case.stage, pool=case.pooled) in HARMLESS
                families[case.stage, harmless][attack, case.stage, case.pool] = of(one)
    held = [statistics.holm(ps) for ps in families.values()]
    return {key: p for own in held for key, p in own.items() if isinstance(key, tuple)}
