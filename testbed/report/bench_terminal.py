"""The bench on a terminal: a row a comparison, and where the time of a mail goes."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from testbed.bench.compare import Comparison
from testbed.bench.record import Bench
from testbed.report.bench_words import aim, interval, number, sign

_STYLE = {True: "green", False: "bold yellow", None: ""}


def show(bench: Bench, out: Path, console: Console | None = None) -> None:
    """Print the table; `out` is the folder that the last line sends the reader to."""
    console = console or Console()
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column(" ratio of", no_wrap=True)
    for head in ("median", "from to", "aim", "ours / theirs"):
        table.add_column(head, no_wrap=True, justify="right")
    for one in bench.comparisons:
        table.add_row(*_cells(one))
    console.print()
    console.print(table)
    if bench.cost:
        parts = ", ".join(f"{name} {ms:.2f}" for name, ms in bench.cost.parts.items())
        console.print(f"\n processor time a mail: {bench.cost.total:.2f} ms ({parts})")
    console.print(Text(f"\n {out}/bench.json, bench.html; seed {bench.seed}\n", "dim"))


def _cells(one: Comparison) -> list[Text]:
    style = _STYLE[one.reached]
    ours, theirs = one.medians()
    return [
        Text(f" {sign(one)} {one.id}", style),
        Text(number(one.ratio), style),
        Text(interval(one)),
        Text(aim(one)),
        Text(f"{number(ours)} / {number(theirs)} {one.unit}", "dim"),
    ]
