"""Claim `message-ids`: what is random in mail and spool is what the kernel gave. No I/O here.

A Message-ID made of the time, of a counter, or of somebody's address under a key looks like chance
to every statistical test that a few mails allow. So nobody looks at it: it has to be among the
numbers that the node was seen to get from the kernel, each once; and it may not ask for many more
than it uses, to choose among them. What the spool remembers of a transfer has to be the tag of a
Message-ID for which the kernel gave another node the number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise

from testbed.agent import Answer
from testbed.hexdump import dump
from testbed.traffic import Letter
from testbed.verdict import Context, Control, Evidence, Finding, judge, some
from testbed.witness.headers import parse
from testbed.witness.inside import excerpt, none_lost, unseen

CLAIM = "message-ids"


ID, NONCE = 32, 24
"""Hex digits of the numbers that the node uses: Message-IDs and rows' names; rows' nonces."""

USES = 64
"""Rows that the memory of uses has, each with a nonce and no name."""

SPARE = 20
"""Numbers beyond what mails and rows need that a run may take (a port takes one a minute)."""


def row(
    node: str, answer: Answer, spool: Answer, tags: Answer | None, letters: Sequence[Letter]
) -> Finding:
    """One node's row: the mails for which it was the last of the chain, and its seized `spool`.

    `tags`: what its secret says of the tags of transfers in its spool (agent/tags.py); None where
    remailers have no port of their own, and mail from them is like any other.
    """
    told = tags or {"tags": 0, "strange": []}
    if why := answer.get("why") or answer.get("unseen_calls") or told.get("why"):
        return unseen(CLAIM, node, why)
    given: Counter[str] = Counter(answer["random"])
    last = [letter for letter in letters if letter.path[-1:] == (node,)]
    own = [told for letter in last for told in _ids(letter)]
    ordinary = [told for letter in letters if not letter.path for told in _ids(letter)]
    lost = answer["lost"]
    numbers: Sequence[str] = spool.get("numbers", ())
    # Who hasn't seen all numbers can't say of one that it wasn't among them.
    seen = given and not lost
    found = [*_evidence(own, given), *_rows(numbers, given), *_chosen(given)] if seen else []
    found += [
        Evidence(f"spool, a transfer's tag {tag}", "of no Message-ID that another node made")
        for tag in told["strange"]
    ]
    known = told["tags"] - len(told["strange"])
    seen_tags = Control("tags are those of other nodes' Message-IDs", known > 0, f"{known} tags")
    return judge(
        CLAIM,
        node,
        looked_at=f"{len(own)} mails, {len(numbers)} names and nonces of rows, {told['tags']} tags "
        f"of transfers, {given.total():,} random numbers",
        controls=[
            Control("the kernel's numbers are seen", bool(given), f"{given.total():,} numbers"),
            Control("mail was delivered by the node", bool(own), f"{len(own)} mails"),
            Control(
                "an ordinary mail's Message-ID is not among them",
                bool(ordinary) and not any(_local(text) in given for _, text in ordinary),
                f"{len(ordinary)} mails",
            ),
            Control(
                "rows were seized with their names and nonces",
                bool(numbers),
                spool.get("why") or f"{len(numbers)} numbers",
            ),
            *([] if tags is None else [seen_tags]),
            none_lost(answer),
        ],
        evidence=some(found),
        kind="not chance",
    )


def identifiers(answer: Answer) -> list[str]:
    """The numbers that the kernel gave a node of which it could have made Message-IDs."""
    return [number for number in answer.get("random", ()) if len(number) == ID]


def odd(node: str, answer: Answer, letters: Sequence[Letter]) -> bool:
    """Whether a node's Message-IDs are none of those numbers, or nobody knows: so are then the
    tags that other nodes have of its transfers."""
    last = [letter for letter in letters if letter.path[-1:] == (node,)]
    given = Counter(identifiers(answer))
    blind = answer.get("why") or answer.get("unseen_calls") or answer.get("lost")
    return bool(blind) or any(
        _local(text) not in given for letter in last for _, text in _ids(letter)
    )


def handed(others: Collection[str], node: str, letters: Sequence[Letter]) -> int:
    """How many letters a node got from these: so many of its tags are their doing."""
    return sum(a in others and b == node for letter in letters for a, b in pairwise(letter.path))


def _ids(letter: Letter) -> Iterator[tuple[int, str]]:
    """The Message-ID of each mail that arrived for a letter, with the letter's number."""
    for mail in letter.delivered:
        values = [header.value for header in parse(mail) if header.name == "message-id"]
        yield letter.number, values[0] if values else ""


def _local(message_id: str) -> str:
    return message_id.removeprefix("<").partition("@")[0]


def _evidence(own: Sequence[tuple[int, str]], given: Counter[str]) -> Iterator[Evidence]:
    used = Counter(_local(text) for _, text in own)
    for number, text in own:
        local = _local(text)
        if local not in given:
            what = "the kernel gave the node no such number"
        elif used[local] > 1:
            what = f"in {used[local]} mails"
        else:
            continue
        yield Evidence(
            f"letter {number}, Message-ID {excerpt(text)}", what, Context(dump(text.encode()))
        )


def _rows(numbers: Sequence[str], given: Counter[str]) -> Iterator[Evidence]:
    for number in numbers:
        if number not in given:
            what = "name" if len(number) == ID else "nonce"
            yield Evidence(
                f"spool, a row's {what} {number}", "the kernel gave the node no such number"
            )


def _chosen(given: Counter[str]) -> Iterator[Evidence]:
    """Each row has a nonce and a name; each mail that leaves has two rows, and a Message-ID."""
    asked = Counter(len(number) for number in given.elements())
    rows = max(0, asked[NONCE] - USES)
    most = rows * 3 // 2 + SPARE
    if asked[ID] > most:
        yield Evidence(
            f"{asked[ID]} numbers of 16 bytes",
            f"{rows} rows, and mail that left, need {most} at most: who asks for more may choose",
        )
