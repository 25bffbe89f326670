"""The matrix on a terminal: a row an attack, a column a stage with and without pool, then why."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from testbed.attack.catalogue import ATTACKS
from testbed.attack.expected import Outcome
from testbed.attack.record import Field, Matrix
from testbed.report.matrix_words import SIGN, headline, interval, number, p, said, searched

_STYLE = {
    Outcome.AS_EXPECTED: "",
    Outcome.OTHERWISE: "bold red",
    Outcome.INCONCLUSIVE: "bold yellow",
    Outcome.OPEN: "",
    Outcome.NOT_APPLICABLE: "dim",
}
NARROW, WIDE, MANY = 4, 8, 6
"""Characters of a field: where there are more than so many cases, the table is to fit 80 or so."""
_FOUND = {True: "", False: "bold yellow"}


def show(matrix: Matrix, out: Path, console: Console | None = None) -> None:
    """Print the table; `out` is the folder that the last line sends the reader to."""
    console = console or Console()
    first = max(len(attack.id) for attack in ATTACKS) + 1
    wide = NARROW if len(matrix.cases) > MANY else WIDE
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    table.add_column(" pool:".ljust(first), no_wrap=True, width=first)
    for case in matrix.cases:
        pool = "on" if case.pooled else "off"
        table.add_column(pool, justify="right", no_wrap=True, width=wide)
    for attack in ATTACKS:
        table.add_row(Text(f" {attack.id}"), *map(_cell, matrix.row(attack)))
    stages = "".join(
        stage.ljust(len(list(own)) * (wide + 1))
        for stage, own in groupby(matrix.cases, lambda case: case.stage)
    )
    console.print()
    console.print(Text(" " * (first + 1) + stages, "dim"))
    console.print(table)
    console.print(
        Text(
            "\n Share of right answers (busy or idle: AUC). ✓ as expected, ✗ not, ? inconclusive,"
            " · nothing expected.", "dim",
        )
    )  # fmt: skip
    for field in matrix.of(Outcome.OTHERWISE, Outcome.INCONCLUSIVE):
        console.print(_line(field))
    if matrix.searches:
        console.print(Text("\n Plants in the nodes, and the attack that has to find each:", "dim"))
    for one in matrix.searches:
        console.print(Text(f" {'✓' if one.found else '?'} {searched(one)}", _FOUND[one.found]))
    console.print(Text(f"\n {headline(matrix)}", "bold"))
    console.print(Text(f" {out}/matrix.json, matrix.html; seed {matrix.seed}\n", "dim"))


def _cell(field: Field) -> Text:
    value = number(field.score.value).replace("1.00", "1.0") if field.score else "-"
    return Text(f"{value}{SIGN[field.outcome]}", _STYLE[field.outcome])


def _line(field: Field) -> Text:
    line = Text(f" {SIGN[field.outcome]} {field.attack.id}, {field.place}: ", _STYLE[field.outcome])
    score = field.score
    if score is not None:
        line.append(
            f"{number(score.value)} ({interval(field)}, n {score.n}, chance {number(score.chance)},"
            f" p {p(field.p)}), expected: {field.expected}; "
        )
    return line.append(said(field))
