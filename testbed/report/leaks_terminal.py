"""The score of the planted leaks on a terminal: a table by grade, and all that isn't well."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from testbed.leaks.score import Outcome, Score, tallies
from testbed.report.escape import printable

MOST = 10
"""Inconclusive rows that are told one by one."""


def show(score: Score, out: Path, console: Console | None = None) -> None:
    """Print the table; `out` is the folder that the last line sends the reader to."""
    console = console or Console()
    console.print()
    console.print(_table(score))
    for line in (*_not_well(score), *_alarms(score)):
        console.print(Padding(line, (0, 0, 0, 1)))
    console.print(Padding(Text(clean_words(score)), (1, 0, 0, 1)))
    console.print(Text(f"\n {out}/leaks.json; seed {score.seed}; {score.seconds:.0f} s\n", "dim"))


def _table(score: Score) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column(" leaks", no_wrap=True)
    for head in ("planted", *Outcome):
        table.add_column(head, justify="right", max_width=12)
    for tally in tallies(score):
        well = all(result.well for result in tally.results)
        table.add_row(
            Text(f" {'✓' if well else '✗'} {tally.name}", "green" if well else "bold red"),
            str(len(tally.results)),
            *(str(tally.count(outcome)) for outcome in Outcome),
        )
    return table


def _not_well(score: Score) -> Iterator[Text]:
    for result in score.results:
        if result.outcome is not Outcome.CAUGHT:
            style = "" if result.well else "bold red"
            kind = f" ({result.kind})" if result.kind else ""
            yield Text(
                f"{result.name} at {result.node}: {result.outcome}; {result.claim}{kind} must "
                f"catch it. {printable(result.evidence)}",
                style,
            )


def _alarms(score: Score) -> Iterator[Text]:
    for alarm in score.alarms:
        yield Text(
            f"FALSE ALARM, {alarm.run}: {alarm.claim} ({alarm.kind}) at {alarm.subject}: "
            f"{printable(alarm.evidence)}",
            "bold red",
        )
    for row in score.open[:MOST]:
        yield Text(f"inconclusive, {printable(row)}", "yellow")
    if more := score.open[MOST:]:
        yield Text(f"and {len(more)} more rows were inconclusive: see leaks.json", "yellow")


def clean_words(score: Score) -> str:
    """What the clean runs and the clean nodes prove, in a sentence."""
    rows = sum(run.rows_clean for run in score.planted)
    beside = f"{rows} rows about the clean nodes beside the leaks"
    if not score.clean:
        return f"No clean run. False alarms are counted in {beside}, too."
    return (
        f"Clean runs with a false alarm: {score.alarmed} of {len(score.clean)}, which proves no "
        f"more than that fewer than {score.bound:.0%} have one (95 %, Clopper-Pearson). "
        f"False alarms are counted in {beside}, too."
    )
