"""Writes docs/leaks.md from the catalogue of planted leaks. A pure function of it.

`.venv/bin/python -m testbed.report.leaks_page > docs/leaks.md` makes the file; a test says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from testbed import compose
from testbed.attack.physical import PHYSICAL
from testbed.leaks.plant import Grade, Plant, catalogue, described

PAGE = compose.ROOT / "docs" / "leaks.md"

_INTRO = """\
# Planted leaks

Whoever says that nothing was found has to show that he would have found it. Each line here is the
stock remailer with one small defect (`tests/leaks/`), started in its place. `make leaks` brings up
webs with several of them, one a node, and at least one node without; sends real mail; and asks the
verdict. (A leak that both ends of a link must have is at every node of a web of its own.) The webs
speak `cells`; the few leaks that take `tls` are tried on that. A leak is *caught* when
the claim that is there for it fails at its node, as its kind, and shows what it is. Whoever else is
accused (but of what a leak made it pass on) is a false alarm, and so is any failed row in the clean
webs, of several sizes, pools and seeds, that follow (`CLEAN=n`, 20 of them unless told otherwise;
half on `tls`, half on `cells`).
`n` clean runs without a false alarm prove an upper bound, not that there are none: with 20 it is
14 % (95 %, Clopper-Pearson), and that is printed.

The exit status is 0 if all are caught and nobody is wrongly accused, 1 if not, and 2 if a row was
left inconclusive (a busy machine, a witness that may not look). `out/leaks.json` has it all, and
`out/leaks/` the verdict of each web. `.venv/bin/testbed leaks NAME...` tries some of them, without
clean webs; `LEAKS=alpha=NAME make verify` (or `up`) is a web of your own with one in it.

This page is made from the catalogue.
"""

_GRADES = {
    Grade.CARELESS: "What remains of debugging and of habits, and libraries that talk by "
    "themselves.",
    Grade.TECHNICAL: "Traces that an engineer doesn't take for a log, or thinks that nobody sees.",
    Grade.MALICIOUS: "By somebody who knows that he is watched, and wants to get a log out.",
}

_BLIND = """\
Written from docs/claims.md and the remailer's source alone, by somebody who had not read the
witnesses, and scored apart: they say how the checkers fare with what they were not made for. The
claim is the author's guess; it is enough that the node is accused. How many are caught is told, and
doesn't change the exit status. (A name that is in another table too means that one: there is
`blind.NAME`.)
"""

_WIRES = """\
For the attacks to find; four of them no claim has to catch. `make matrix PLANTS=1` puts each at
every node of a web of its own, and lets the attacks of [docs/attacks.md](attacks.md) try on what
the sniffer saw, as they are. An attack that misses its plant may not say of the stock image that
there is nothing: its field is inconclusive.
"""

_MISSED = """\
Some things may be missed. An attacker in the kernel, or below it, can make any witness here see
what he likes. Whoever delays mail a little, rarely enough, signals below what the statistics of a
run can tell from the pool's own chance. What is inside TLS, the peer alone can read. And what
begins only after a run, or by a word that no run says (the blind `sleeper` and `help-word`), isn't
there to be seen. The leaks that show where that begins:
"""


def markdown(plants: Sequence[Plant]) -> str:
    """The whole page."""
    parts = [_INTRO]
    seen = [plant for plant in plants if not plant.blind]
    for grade, words in _GRADES.items():
        own = [plant for plant in seen if plant.grade == grade]
        parts.append(f"## {grade.capitalize()} ({len(own)})\n\n{words}\n\n{_table(own)}")
    if blind := [plant for plant in plants if plant.blind]:
        parts.append(f"## Blind ({len(blind)})\n\n{_BLIND}\n{_table(blind)}")
    parts.append(f"## For the matrix ({len(PHYSICAL)})\n\n{_WIRES}\n{_for_attacks()}")
    missed = [plant for plant in plants if plant.missed]
    lines = [f"- `{plant.title}`: {plant.missed}." for plant in missed]
    parts.append(f"## What may be missed\n\n{_MISSED}\n" + "\n".join(lines or ["None yet."]) + "\n")
    return "\n".join(parts)


def _table(plants: Iterable[Plant]) -> str:
    lines = ["| leak | what somebody did | must be caught by | as |", "|---|---|---|---|"]
    for plant in plants:
        claims = ", ".join(
            f"[{claim}](claims.md#{claim})" for claim in (plant.claim, *sorted(plant.also))
        )
        described = plant.description.replace("|", "\\|")
        lines.append(f"| `{plant.title}` | {described} | {claims} | {plant.kind or 'any'} |")
    return "\n".join(lines) + "\n"


def _for_attacks() -> str:
    lines = ["| leak | what somebody did | must be found by | at |", "|---|---|---|---|"]
    for plant in PHYSICAL:
        at = f"{plant.link}, pool {'off' if plant.pool == 'off' else 'on'}"
        lines.append(
            f"| `{plant.title}` | {described(plant.name)} | {'; '.join(plant.attacks)} | {at} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(markdown(catalogue()), end="")
