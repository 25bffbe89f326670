"""The verdict on a terminal: progress while it is made, a table and its reasons at the end.

Everything found is put in as `Text`, never as markup: it was written by whoever sent it.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from testbed.report import text
from testbed.report.escape import printable
from testbed.report.record import Record, Row
from testbed.verdict import Context, Finding, Status

WIDE = 96
"""Columns from which on the table has room to say what the control was."""

STYLE = {
    Status.PASS: "green",
    Status.FAIL: "bold red",
    Status.INCONCLUSIVE: "bold yellow",
    Status.NOT_APPLICABLE: "dim",
}

_SHOWN_ANYHOW = 3
"""Rows unfolded of a claim that fails as the stage is expected to; others are shown in full."""
_SHOWN_AT_MOST = 20

_DUMP_SHOWN = 4
"""Lines of a dump; report.html has all of it."""

_SVG = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
  font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: system-ui, sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def show(record: Record, out: Path | None = None, console: Console | None = None) -> None:
    """Print the verdict; `out` is the folder that the last lines send the reader to."""
    console = console or Console()
    console.print(_view(record, out, console.width))


def svg(record: Record) -> str:
    """The very same table at 100 columns as an SVG that fetches nothing."""
    console = Console(
        record=True, width=100, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    show(record, console=console)
    title = f"make verify LINK={record.link}"
    return console.export_svg(title=title, code_format=_SVG, unique_id="verdict")


def _view(record: Record, out: Path | None, width: int) -> RenderableType:
    parts: list[RenderableType] = [Text(), _title(record), Text(), _table(record, width)]
    for row in record.rows:
        if row.problems():
            parts += [Text(), _unfolded(row)]
    parts += [Text(), _facts(record, out), Text(), _last(record), Text()]
    return Group(*parts)


def _title(record: Record) -> Text:
    nodes = text.count(len(record.nodes), "node")
    line = Text.assemble(
        (" " + record.web, "bold"),
        f"  {nodes}, link stage ",
        (text.stage_of(record), "bold"),
        f", pool {record.pool}, seed {record.seed}",
    )
    if record.leaks:
        leaks = ", ".join(f"{plant} in {node}" for node, plant in record.leaks.items())
        line.append(f"\n planted: {leaks}", "yellow")
    return line


def _table(record: Record, width: int) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column(" claim", no_wrap=True)
    table.add_column("what it says", min_width=24)
    table.add_column("holds for", no_wrap=True)
    table.add_column("control", no_wrap=True)
    table.add_column("expected", no_wrap=True)
    for group, rows in record.groups:
        table.add_row(Text(f" {group}", "italic dim"))
        for row in rows:
            table.add_row(*_cells(row, width))
    return table


def _cells(row: Row, width: int) -> Iterable[Text]:
    style = STYLE[row.status]
    yield Text.assemble((f" {text.SYMBOL[row.status]} ", style), (row.claim.id, style))
    yield Text(row.claim.short)
    yield _holds_for(row)
    yield _control(row, width)
    yield _expected(row)


def _expected(row: Row) -> Text:
    if row.status is Status.NOT_APPLICABLE:
        return Text("= –", "dim")
    same = row.as_expected
    return Text(f"{'=' if same else '≠'} {row.expected}", "dim" if same else "bold red")


def _holds_for(row: Row) -> Text:
    if row.status is Status.NOT_APPLICABLE:
        return Text("not claimed", "dim")
    holding = row.count(Status.PASS)
    return Text(f"{holding}/{row.total} {row.claim.per}s", STYLE[row.status])


def _control(row: Row, width: int) -> Text:
    controls = [control for finding in row.findings for control in finding.controls]
    found = sum(control.found for control in controls)
    if width < WIDE:
        return Text(f"{found}/{len(controls)}", "" if found == len(controls) else "bold yellow")
    if controls and found == len(controls):
        return Text(f"✓ {row.claim.twin}")
    return Text(f"? {found}/{len(controls)} found", "bold yellow")


def _unfolded(row: Row) -> RenderableType:
    problems = row.problems()
    limit = _SHOWN_ANYHOW if row.as_expected else _SHOWN_AT_MOST
    style = STYLE[row.status]
    head = Text.assemble((f" {text.SYMBOL[row.status]} {row.claim.id}", style), "  ")
    head.append(row.claim.short)
    if row.as_expected:
        head.append("  (expected to fail at this stage)", "dim")
    parts: list[RenderableType] = [head, Padding(_problems(problems[:limit]), (0, 0, 0, 3))]
    if len(problems) > limit:
        rest = text.count(len(problems) - limit, "more row")
        parts.append(Text(f"   … and {rest} in report.html", "dim"))
    parts += [Padding(part, (0, 0, 0, 3)) for part in (_context(problems), _advice(row))]
    return Group(*parts)


def _context(findings: Sequence[Finding]) -> RenderableType:
    """What stood around the first piece of evidence of which that is known."""
    known = (piece.context for finding in findings for piece in finding.evidence)
    context = next((context for context in known if context.lines), Context())
    short = replace(context, dump=context.dump[:_DUMP_SHOWN])
    lines = [
        Text(printable(line), "dim", no_wrap=True, overflow="ellipsis") for line in short.lines
    ]
    return Group(*lines)


def _advice(row: Row) -> Table:
    advice = Table.grid(padding=(0, 2, 0, 0))
    if row.count(Status.FAIL):
        advice.add_row(Text("causes", "bold"), Text(text.causes(row.claim)))
    if row.count(Status.INCONCLUSIVE):
        advice.add_row(Text("to do", "bold"), Text(text.what_to_do(row)))
    return advice


def _problems(findings: Sequence[Finding]) -> Table:
    cells = [_problem(finding) for finding in findings]
    lines = Table.grid(padding=(0, 2, 0, 0))
    for column in (0, 1):
        widest = max(line[column].cell_len for line in cells)
        lines.add_column(min_width=widest, no_wrap=True)
    lines.add_column(overflow="ellipsis")
    for line in cells:
        lines.add_row(*line)
    return lines


def _problem(finding: Finding) -> tuple[Text, Text, Text]:
    sign = f"{text.SYMBOL[finding.status]} {text.arrow(finding.subject)}"
    subject = Text(sign, STYLE[finding.status])
    if finding.status is Status.INCONCLUSIVE:
        return subject, Text("open"), Text(printable(text.why_open(finding)))
    first = finding.evidence[0]
    more = f" (+{len(finding.evidence) - 1})" if len(finding.evidence) > 1 else ""
    where = printable(first.where) + more + "  "
    what = Text.assemble((where, "cyan"), printable(first.what), no_wrap=True)
    return subject, Text(finding.kind or "fails"), what


def _facts(record: Record, out: Path | None) -> Table:
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(no_wrap=True, style="dim")
    facts.add_column()
    if record.mails:
        arrived = sum(mail.delivered for mail in record.mails)
        facts.add_row(" mail", f"{arrived} of {text.count(len(record.mails), 'mail')} arrived")
    if record.capture:
        facts.add_row(" wire", Text(text.captured(record.capture)))
    for memory in record.memory:
        facts.add_row(" memory", Text(text.remembered(memory)))
    if record.timings:
        longest = sorted(record.timings, key=lambda timing: -timing.seconds)
        named = " · ".join(f"{t.phase} {t.seconds:.1f}" for t in longest if t.seconds >= 0.05)
        facts.add_row(" time", Text(f"{record.seconds:.1f} s: {named}"))
    if out is not None:
        names = ["report.html", "verdict.json", "junit.xml"]
        names += [record.capture.file] if record.capture else []
        facts.add_row(" files", Text(", ".join(str(out / name) for name in names)))
    return facts


def _last(record: Record) -> Table:
    status = text.overall(record)
    line = Table.grid(padding=(0, 1, 0, 0))
    words = f"{text.headline(record)} (exit status {record.status})"
    line.add_row(Text(f" {text.SYMBOL[status]}"), Text(words), style=STYLE[status])
    return line
