"""Attacks on people and by those who take part: where each must win, and where it is at chance."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from attack_web import HOPS, LINKS, Simulated, pooled

from testbed.attack import n_minus_1, questions, score, statistics, tagging, windows
from testbed.attack.case import scored
from testbed.attack.catalogue import BY_ID
from testbed.attack.expected import Expected
from testbed.attack.observation import Entry, Observation, Transfer
from testbed.attack.plant import past_everything
from testbed.attack.questions import Asked
from testbed.attack.score import Score
from testbed.attack.truth import Truth

QUIET = Simulated(clear=False, rate=2.0, kinds=("forward",))
CROWD = Simulated(clear=False, rate=40.0, kinds=("forward",), delay=pooled(20.0))
CELLS = Simulated(cells=True, delay=pooled(1.0))


def got(attack: str, seen: Observation, truth: Truth) -> Score:
    found = scored(BY_ID[attack], [(seen, truth)], Expected.OPEN, random.Random(2))
    assert found is not None
    return found


@pytest.mark.parametrize("attack", ["flow", "intersection", "disclosure"])
def test_people_are_found_by_all_their_mails_where_there_is_little_else(attack: str) -> None:
    score_ = got(attack, QUIET.seen, QUIET.truth)
    assert score_.value >= 0.8
    assert score_.p <= 0.001


@pytest.mark.parametrize("attack", ["intersection", "disclosure"])
def test_people_are_hidden_in_a_crowd_that_waits(attack: str) -> None:
    score_ = got(attack, CROWD.seen, CROWD.truth)
    assert score_.value <= 0.2
    assert score_.p > 0.01


def test_a_flow_of_cells_says_nothing() -> None:
    score_ = got("flow", CELLS.seen, CELLS.truth)
    assert score_.low <= score_.chance <= score_.high


def test_a_flow_that_is_let_past_the_cells_is_found() -> None:
    found = scored(BY_ID["flow"], [(CELLS.seen, CELLS.truth)], Expected.CHANCE, random.Random(2))
    assert found is not None
    assert found.planted
    assert found.leak is not None
    assert found.leak <= 0.75


def test_whoever_is_given_away_is_with_all_mails_and_a_reply_block_with_all_its_uses() -> None:
    seen, told = CELLS.seen, CELLS.truth
    one = next(n for n, letter in told.entries.items() if letter.kind == "forward")
    block = next(n for n, letter in told.entries.items() if letter.kind == "reply")
    link = told.entries[one].path
    before = len(seen.links[link]), len(seen.packets[link])
    more = [past_everything(seen, told, [key]) for key in (told.entries[one].sender, one, block)]
    added = [
        len(it.links[told.entries[n].path]) for it, n in zip(more, (one, one, block), strict=True)
    ]
    assert [n - before[0] for n in added] == [CELLS.mails, 1, CELLS.mails]
    assert len(more[0].packets[link]) > before[1]


def tagged(web: Simulated, *, come_out: bool) -> Observation:
    """Each mail has a mark; whether it comes out is the remailers' affair."""
    tags = {n: b"tag %d\r\n" % n for n in range(len(web.entries))}
    exits = list(web.seen.exits)
    if come_out:
        for number, place in web.truth.exits.items():
            mail = exits[place].mail
            exits[place] = replace(
                exits[place], mail=replace(mail, data=mail.data + b"\r\n" + tags[number])
            )
    return replace(web.seen, exits=tuple(exits), tags=tags)


def test_a_tag_that_comes_out_tells_whom_a_mail_is_for() -> None:
    asked = questions.recipient("forward")(QUIET.seen, QUIET.truth)
    guesses = tagging.guess(tagged(QUIET, come_out=True), random.Random(1))
    assert score.of_answers(guesses, asked, random.Random(1)).value == 1.0


def test_a_tag_that_was_cut_off_tells_nothing() -> None:
    asked = questions.recipient("forward")(QUIET.seen, QUIET.truth)
    guesses = tagging.guess(tagged(QUIET, come_out=False), random.Random(1))
    assert score.of_answers(guesses, asked, random.Random(1)).p > 0.01


def rounds(count: int, cover: int, rng: random.Random) -> tuple[int, int]:
    """(right, asked) of n-1 where each link also carries up to so many transfers that are none."""
    right = 0
    for _ in range(count):
        web = Simulated(mails=0)
        for _ in range(3):
            web.mail("forward", rng.choice([link for link in LINKS if link[0] == "alpha"]), 1.0)
        for link in LINKS:
            covers = [Transfer(2.0, 2.0, 16000)] * (rng.randint(0, cover) if cover else 0)
            web.links[link] += covers
        seen = replace(web.seen, own={n: web.truth.next(n) for n in (1, 2)})
        answers = n_minus_1.guess(seen, rng)
        assert set(answers) == {0}
        right += answers[0] == web.truth.next(0)
    return right, count


def test_n_minus_1_finds_the_one_mail_that_is_not_the_attackers() -> None:
    assert rounds(20, 0, random.Random(1)) == (20, 20)


def test_n_minus_1_is_lost_in_cover_traffic() -> None:
    right, asked = rounds(200, 200, random.Random(1))
    assert right / asked == pytest.approx(1 / (len(HOPS) - 1), abs=0.1)


def whole_round(rng: random.Random) -> tuple[Observation, Truth]:
    """A round as S sees it: into each hop a mail that he is after, and two of his own."""
    web = Simulated(mails=0)
    for hop in HOPS:
        for kind in ("target", "own", "own"):
            web.mail(kind, rng.choice([link for link in LINKS if link[0] == hop]), 1.0)
    web.links = {link: web._cells(place) for place, link in enumerate(LINKS)}
    own = web.truth.of_kind("own")
    friends = frozenset(web.letters[number].recipient for number in own)
    seen = replace(web.seen, own={n: web.truth.next(n) for n in own}, friends=friends)
    return seen, web.truth


def test_n_minus_1_to_the_end_needs_no_link() -> None:
    rng = random.Random(3)
    score_ = scored(
        BY_ID["n-1, to the end"], [whole_round(rng) for _ in range(8)], Expected.BETTER, rng
    )
    assert score_ is not None
    assert score_.n == 8 * len(HOPS)
    assert score_.low > 0.6


def test_colluding_remailers_know_what_they_did_whatever_the_links_hide() -> None:
    inside = {n: CELLS.truth.next(n) for n, e in enumerate(CELLS.entries) if e.hop == "alpha"}
    score_ = got("colluding", replace(CELLS.seen, inside=inside), CELLS.truth)
    share = len(inside) / len(CELLS.entries)
    assert score_.value == pytest.approx(share + (1 - share) / 4, abs=0.08)


def told_apart(web: Simulated) -> Score:
    found = windows.scored(windows.of_links(web.seen, web.truth), random.Random(1))
    assert found is not None
    return found


def test_busy_links_are_told_from_idle_ones_by_their_packets() -> None:
    assert told_apart(Simulated(clear=False, rate=2.0)).low >= 0.9


def test_a_link_that_always_sends_looks_neither_busy_nor_idle() -> None:
    found = told_apart(Simulated(cells=True, rate=2.0))
    assert found.low <= 0.5 <= found.high
    assert found.p > 0.01


def test_a_pacer_that_falters_when_there_is_mail_is_caught() -> None:
    web = Simulated(cells=True, rate=2.0)
    packets = {link: list(own) for link, own in web.seen.packets.items()}
    for number, letter in web.truth.entries.items():
        at = web.entries[number].mail.end
        own = packets[letter.path]
        packets[letter.path] = [(t + 0.03 if at <= t < at + 1 else t, size) for t, size in own]
    seen = replace(web.seen, packets={link: tuple(own) for link, own in packets.items()})
    found = windows.scored(windows.of_links(seen, web.truth), random.Random(1))
    assert found is not None
    assert found.low > 0.7
    assert found.p < 0.01


def test_a_mail_that_nobody_can_read_in_the_end_leaves_its_link_idle_again() -> None:
    """Known by its recipient: as many left for him as came in for him."""
    web = Simulated(cells=True, rate=2.0)
    known = windows.of_links(web.seen, web.truth)
    read = {n: at for n, at in web.truth.exits.items() if web.letters[n].kind == "forward"}
    unread = windows.of_links(web.seen, replace(web.truth, exits=read))
    assert len(read) == len(web.letters) / 2
    assert sum(unread.labels) == sum(known.labels)
    assert len(unread.labels) == len(known.labels)


def test_too_few_windows_are_no_measurement() -> None:
    web = Simulated(mails=1, rate=40.0)
    assert windows.scored(windows.of_links(web.seen, web.truth), random.Random(1)) is None


def lines(web: Simulated) -> Observation:
    """The same web, but users have proxies: nothing comes in but cells, five a second of each."""
    people = {one.sender: one.path[0] for one in web.letters}
    rng = random.Random(5)
    entries, packets = [], dict(web.seen.packets)
    for who, hop in people.items():
        shift = rng.random() / 5
        ticks = [n / 5 + shift for n in range(int(web.end * 5))]
        entries += [Entry(hop, who, Transfer(at, at, 16000)) for at in ticks]
        packets[who, hop] = packets[hop, who] = tuple((at, 1448) for at in ticks)
    entries.sort(key=lambda one: one.mail.end)
    return replace(web.seen, entries=tuple(entries), packets=packets)


PADDED = Simulated(cells=True, kinds=("padded",), mails=12)
PADDED_CROWD = replace(CROWD, kinds=("padded",), entries=[], letters=[], exits=[], links={})


@pytest.mark.parametrize(
    ("attack", "web", "least", "most"),
    [
        ("author", QUIET, 0.9, 1.0),
        ("author", CROWD, 0.5, 0.9),
        ("author, padded", PADDED, 0.8, 1.0),
        ("author, padded", PADDED_CROWD, 0.0, 0.2),
    ],
)
def test_who_wrote_is_known_by_size_and_time_and_hidden_in_a_crowd_of_one_size(
    attack: str, web: Simulated, least: float, most: float
) -> None:
    score_ = got(attack, web.seen, web.truth)
    assert least <= score_.value <= most
    assert score_.sets
    assert (score_.sets.size > 5) == (most <= 0.2)


def test_who_wrote_is_not_known_of_users_with_proxies_but_a_plant_is_found() -> None:
    """The same mails, on port 25 and by proxies: with a pool of no delay."""
    before = got("author, padded", PADDED.seen, PADDED.truth)
    assert before.value >= 0.8
    known = Truth({}, {}, PADDED.truth.left)
    after = scored(
        BY_ID["author, padded"], [(lines(PADDED), known)], Expected.CHANCE, random.Random(2)
    )
    assert after is not None
    assert (after.n, after.planted) == (before.n, True)
    assert after.low <= after.chance <= after.high


def test_who_writes_to_whom_is_known_of_all_but_users_with_proxies() -> None:
    attack = BY_ID["author, all mails"]
    before = scored(attack, [(PADDED.seen, PADDED.truth)], Expected.OPEN, random.Random(2))
    assert before is not None
    assert before.low > 0.8
    known = Truth({}, {}, PADDED.truth.left)
    after = scored(attack, [(lines(PADDED), known)], Expected.CHANCE, random.Random(2))
    assert after is not None
    assert (after.n, after.planted) == (len(LINKS), True)
    assert after.low <= after.chance <= after.high


@pytest.mark.parametrize(
    ("shown", "late", "found"), [(0.0, 0.0, False), (0.5, 0.0, True), (0.5, 1.0, True)]
)
def test_a_users_own_line_says_nothing_unless_it_shows_mail(
    shown: float, late: float, found: bool
) -> None:
    """Also where all mail is handed in later than was planned: what counts is when it was."""
    seen = lines(PADDED)
    packets = {line: list(own) for line, own in seen.packets.items()}
    rng = random.Random(4)
    for letter in PADDED.letters:
        if rng.random() < shown:
            packets[letter.sender, letter.path[0]].append((letter.at + late + 0.1, 90))
    shifted = {line: tuple(sorted(own)) for line, own in packets.items()}
    handed = tuple(
        replace(one, begun=one.begun + late, taken=one.taken + late) for one in PADDED.truth.handed
    )
    score_ = scored(
        BY_ID["user's line"],
        [(replace(seen, packets=shifted), replace(PADDED.truth, handed=handed))],
        Expected.CHANCE, random.Random(2),
    )  # fmt: skip
    assert score_ is not None
    assert score_.planted
    assert (score_.p < 0.05) == found
    assert (score_.low > 0.5) == found


def test_sets_are_those_of_the_mails_that_are_asked_about() -> None:
    both = Simulated(clear=False, kinds=("forward", "padded"), rate=8.0, delay=pooled(4.0))
    plain, padded = (got(attack, both.seen, both.truth) for attack in ("author", "author, padded"))
    assert plain.sets
    assert padded.sets
    assert plain.sets.size * 2 < padded.sets.size


def test_luck_with_one_person_is_not_taken_for_knowledge() -> None:
    """All mails of two persons, one of whom the attacker always names: half are right."""
    answers = ["a"] * 50 + ["b"] * 50
    guesses = ["a"] * 100
    rng = random.Random(1)
    assert statistics.renamed(guesses, answers, [""] * 100, rng).p == 1.0
    asked = {n: Asked(who, "", n // 10, person=True) for n, who in enumerate(answers)}
    one = score.of_answers(dict(enumerate(["a"] * 50 + ["c"] * 50)), asked, random.Random(1))
    assert one.p > 0.4
    sure = {n: Asked(str(n % 7), "", n // 10, person=True) for n in range(70)}
    known = score.of_answers({n: str(n % 7) for n in sure}, sure, random.Random(1))
    assert known.p < 0.001


@pytest.mark.parametrize(("known", "found"), [("leaves", True), ("enters", True), ("", False)])
def test_who_knows_but_one_edge_of_an_author_is_not_at_chance(known: str, found: bool) -> None:
    """Of whom he names one of those that share it, he is right of one in four."""
    rng = random.Random(1)
    people = [letter.path for letter in PADDED.letters]
    shared = {"leaves": 1, "enters": 0}
    asked, guesses = {}, {}
    for number, path in enumerate(people):
        asked[number] = Asked(path, path[1], number // 10, home=path[0])
        edge = shared.get(known)
        same = [one for one in LINKS if edge is None or one[edge] == path[edge]]
        guesses[number] = rng.choice(same)
    got_ = score.of_answers(guesses, asked, random.Random(1))
    assert (got_.p < 0.01) is found
