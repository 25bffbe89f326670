"""The verdict's views: each shows every finding, none is fooled by what stands in the evidence."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from rich.cells import cell_len
from rich.console import Console
from sample import CONTEXT, NASTY, answers, record, unanswered
from test_attack_matrix import ALL as MATRIX

from testbed.claims import BY_ID, CLAIMS, Expected, Group
from testbed.errors import TestbedError
from testbed.report import claims_page, files, junit, page, picture, terminal, text
from testbed.report.escape import printable
from testbed.report.progress import Progress
from testbed.report.record import Record, Row, from_json, to_json
from testbed.topology import Link, Topology
from testbed.verdict import Control, Evidence, Finding, Status

ALL = len(CLAIMS)
AT_TLS = [claim.id for claim in CLAIMS if claim.expected(Link.TLS) is Expected.HOLDS]
AT_CELLS = [claim.id for claim in CLAIMS if claim.expected(Link.CELLS) is Expected.HOLDS]
AT_SMTP = {claim.id for claim in CLAIMS if Link.SMTP in claim.fails_at}
DOCS = Path(__file__).parents[2] / "docs"

HOLDS = record()
CLEAR = record(Link.SMTP)
LEAKY = record(leaks={"bravo": "silent-volume"}, open_claims=("contacts", "link-port"))
OPEN = record(open_claims=("contacts",))
EVERY = pytest.mark.parametrize(
    "run", [HOLDS, CLEAR, LEAKY, OPEN], ids=["holds", "clear", "leaky", "open"]
)


def printed(run: Record, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    terminal.show(run, Path("out"), console)
    shown = console.file
    assert isinstance(shown, io.StringIO)
    return shown.getvalue()


def junit_details(run: Record) -> str:
    root = ET.fromstring(junit.xml(run))
    return "\n".join(failure.text or "" for failure in root.iter("failure"))


class Page(HTMLParser):
    """What a browser would make of a page: its tags with attributes, and its text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


# the record


@EVERY
def test_json_gives_the_same_record_again(run: Record) -> None:
    assert from_json(to_json(run)) == run


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ("", "run make verify again"),
        ("{}", "Field required"),
        (to_json(replace(HOLDS, schema=99)), "schema 99"),
        (to_json(HOLDS).replace('"headers"', '"footers"'), "footers"),
    ],
)
def test_what_is_no_verdict_is_refused_on_one_line(broken: str, says: str) -> None:
    with pytest.raises(TestbedError, match=says) as caught:
        from_json(broken)
    assert "\n" not in str(caught.value)


def test_exit_statuses() -> None:
    assert [run.status for run in (HOLDS, CLEAR, LEAKY, OPEN)] == [0, 1, 1, 2]


def test_the_clear_stage_fails_exactly_where_the_table_says_so() -> None:
    failed = {claim for claim, status in answers(CLEAR).items() if status is Status.FAIL}
    assert failed == AT_SMTP
    assert CLEAR.as_expected
    assert HOLDS.as_expected
    assert not LEAKY.as_expected
    assert not OPEN.as_expected


def test_a_link_that_holds_where_it_should_fail_is_not_as_expected() -> None:
    sealed = tuple(
        replace(f, status=Status.PASS, evidence=())
        if (f.claim, f.subject) == ("link-canary", "alpha>bravo")
        else f
        for f in CLEAR.findings
    )
    assert not replace(CLEAR, findings=sealed).as_expected


@pytest.mark.parametrize("claim", AT_CELLS)
def test_what_no_witness_answered_is_inconclusive(claim: str) -> None:
    run = unanswered(claim)
    assert answers(run)[claim] is Status.INCONCLUSIVE
    assert run.status == 2


def test_bytes_that_are_no_text_survive_every_form(tmp_path: Path) -> None:
    name = b"/tmp/\xff\x00\n".decode(errors="surrogateescape")
    findings = [
        replace(f, status=Status.FAIL, evidence=(Evidence(name, name),)) for f in HOLDS.findings
    ]
    run = Record.of(Topology(), started=HOLDS.started, seed=1, versions={}, findings=findings)
    files.write(run, tmp_path)
    files.pictures(run, tmp_path)
    assert files.read(tmp_path) == run
    assert "/tmp/\\udcff\\x00\\n" in printed(run, 100)


def test_the_report_and_the_matrix_link_to_each_other_when_they_lie_beside(tmp_path: Path) -> None:
    files.write(HOLDS, tmp_path)
    assert "matrix.html" not in (tmp_path / "report.html").read_text()
    files.write_matrix(MATRIX, tmp_path)
    files.write(HOLDS, tmp_path)
    assert 'href="matrix.html"' in (tmp_path / "report.html").read_text()
    assert 'href="report.html"' in (tmp_path / "matrix.html").read_text()
    files.write_matrix(MATRIX, tmp_path / "alone")
    assert "report.html" not in (tmp_path / "alone" / "matrix.html").read_text()


def test_a_run_without_any_finding_is_inconclusive() -> None:
    run = Record.of(Topology(), started=HOLDS.started, seed=1, versions={}, findings=[])
    assert run.status == 2
    assert set(answers(run).values()) == {Status.INCONCLUSIVE, Status.NOT_APPLICABLE}
    assert "INCONCLUSIVE" in printed(run, 80)
    assert "No mail was sent" in page.html(run)


@pytest.mark.parametrize("where", [("headers", "zulu"), ("footers", "alpha"), ("headers", "a>b")])
def test_a_finding_about_nothing_is_a_defect(where: tuple[str, str]) -> None:
    stray = Finding(*where, Status.PASS, "something")
    with pytest.raises(ValueError, match="not in this web or table"):
        Record.of(Topology(), started=HOLDS.started, seed=1, versions={}, findings=[stray])


def test_two_findings_about_one_node_count_once_and_the_worst_counts() -> None:
    good = HOLDS.rows[0].findings[0]
    row = Row(CLAIMS[0], HOLDS.rows[0].expected, (good, replace(good, status=Status.FAIL)))
    assert (row.total, row.count(Status.PASS), row.status) == (1, 0, Status.FAIL)


# the terminal


@EVERY
@pytest.mark.parametrize("width", [80, 100, 140])
def test_no_line_is_wider_than_the_terminal(run: Record, width: int) -> None:
    assert max(cell_len(line) for line in printed(run, width).splitlines()) <= width


@EVERY
@pytest.mark.parametrize("width", [80, 100])
def test_each_claim_is_one_line_of_the_table(run: Record, width: int) -> None:
    lines = printed(run, width).splitlines()
    for row in run.rows:
        sign = text.SYMBOL[row.status]
        whole = [line for line in lines if line.startswith(f" {sign} {row.claim.id} ")]
        table = whole[0]
        assert row.claim.short in table
        if row.status is Status.NOT_APPLICABLE:
            assert table.rstrip().endswith("= –")
            continue
        assert f"{row.count(Status.PASS)}/{row.total} {row.claim.per}s" in table
        assert table.rstrip().endswith(f"{'=' if row.as_expected else '≠'} {row.expected}")


def test_what_fails_is_named_with_its_kind_and_where_it_was_found() -> None:
    shown = printed(LEAKY, 100)
    line = next(line for line in shown.splitlines() if "seen.log" in line)
    assert line.split()[:4] == ["✗", "bravo", "volume", "/var/lib/remailer/spool/seen.log:0"]
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_every_view_shows_what_stood_around_the_evidence() -> None:
    views = (printed(LEAKY, 200), Page(page.html(LEAKY)).text, junit_details(LEAKY), to_json(LEAKY))
    for view in views:
        assert "(pid 61)" in view
        assert "frame 7: " in view
        for line in CONTEXT.dump[:3]:
            assert line in view
        assert "\x1b" not in view


def test_a_failure_says_what_usually_causes_it_and_a_pass_does_not() -> None:
    volume = text.causes(BY_ID["silent-volume"])
    shown = " ".join(printed(LEAKY, 80).split())
    assert f"causes {volume}" in shown
    assert volume in junit_details(LEAKY)
    assert "causes" not in printed(HOLDS, 80)
    assert all(text.causes(claim) in Page(page.html(HOLDS)).text for claim in CLAIMS)


def test_the_table_has_what_is_about_the_same_thing_together() -> None:
    shown = [line.strip() for line in printed(HOLDS, 100).splitlines()]
    assert [line for line in shown if line in set(Group)] == list(Group)
    first = shown.index(Group.LINKS)
    assert all(shown[first + n].startswith(("✓ link-", "– link-")) for n in range(1, 8))


def test_each_failure_is_one_line_however_long_the_evidence() -> None:
    long = tuple(
        replace(f, evidence=(Evidence("frame 7", "x" * 500),)) if f.evidence else f
        for f in CLEAR.findings
    )
    lines = printed(replace(CLEAR, findings=long), 80).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(" ✗ link-encrypted  all"))
    # the claim's second mention is the head of its unfolded rows
    start = next(i for i in range(start + 1, len(lines)) if lines[i].startswith(" ✗ link-encry"))
    assert [line.split()[0] for line in lines[start + 1 : start + 5]] == ["✗", "✗", "✗", "…"]
    assert all(line.endswith("…") for line in lines[start + 1 : start + 4])


def test_what_could_not_be_looked_at_says_why() -> None:
    control = Control("the witness sees the node", False, "alpha does not run (exited)")
    finding = Finding("headers", "alpha", Status.INCONCLUSIVE, "nothing", (control,))
    assert text.why_open(finding).endswith("sees the node (alpha does not run (exited))")


def test_what_is_open_says_why_and_what_to_do() -> None:
    shown = " ".join(printed(OPEN, 80).split())
    assert "? alpha open the control was not found: the node's own mail" in shown
    assert "to do look whether the witness (the sniffer) could see anything at all" in shown


@pytest.mark.parametrize(
    ("run", "last"),
    [
        (
            HOLDS,
            f"✓ HOLDS: all {len(AT_TLS)} claims hold at link stage tls "
            f"({ALL - len(AT_TLS)} more not claimed there), as expected (exit status 0)",
        ),
        (
            CLEAR,
            f"✗ FAILS: {len(AT_SMTP)} of {ALL} claims fail at link stage smtp, as expected "
            "(exit status 1)",
        ),
        (LEAKY, "not as expected: silent-volume, contacts, link-port (exit status 1)"),
        (OPEN, "but this could not be judged: contacts (exit status 2)"),
    ],
)
def test_the_last_line_is_the_verdict(run: Record, last: str) -> None:
    assert printed(run, 200).strip().endswith(last)


def test_the_few_words_of_each_claim_fit_the_table() -> None:
    assert not [claim.id for claim in CLAIMS if len(claim.short) > 29 or len(claim.twin) > 22]


def test_progress_in_plain_lines_and_as_timings() -> None:
    console = Console(width=80, file=io.StringIO(), force_terminal=False)
    with Progress(console) as progress:
        with progress.phase("web up") as phase:
            phase.note("5 of 5\x1b[2J nodes")
        with pytest.raises(OSError, match="no room"), progress.phase("capture"):
            raise OSError("no room")
    shown = console.file
    assert isinstance(shown, io.StringIO)
    lines = [line.split() for line in shown.getvalue().splitlines()]
    assert lines[0] == ["web", "up", "..."]
    assert lines[1][:3] == ["✓", "web", "up"]
    assert "5 of 5\\x1b[2J nodes" in shown.getvalue()
    assert lines[3][:2] == ["✗", "capture"]
    assert [timing.phase for timing in progress.timings] == ["web up", "capture"]


def test_progress_on_a_terminal_leaves_one_line_a_phase() -> None:
    console = Console(width=80, file=io.StringIO(), force_terminal=True)
    with Progress(console) as progress, progress.phase("web up") as phase:
        phase.note("alpha")
        console.print(phase)
    shown = console.file
    assert isinstance(shown, io.StringIO)
    assert "✓" in shown.getvalue()
    assert shown.getvalue().endswith(("\n", "\x1b[?25h", "\x1b[2K"))


# pictures


@EVERY
def test_the_terminal_as_svg_is_well_formed_and_fetches_nothing(run: Record) -> None:
    drawn = terminal.svg(run)
    ET.fromstring(drawn)
    assert drawn == terminal.svg(run)
    assert "http" not in drawn.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize("nodes", [2, 3, 5, 9, 16, 26])
def test_the_web_as_svg_has_every_node_and_link(nodes: int) -> None:
    run = record(nodes=nodes)
    root = ET.fromstring(picture.svg(run))
    titles = [title.text or "" for title in root.iter("{http://www.w3.org/2000/svg}title")]
    for node in run.nodes:
        assert any(title.startswith(f"{node.name}, {node.address}") for title in titles)
    drawn = [title for title in titles if " → " in title]
    assert len(drawn) == nodes * (nodes - 1)


def test_a_large_web_draws_only_what_does_not_hold() -> None:
    drawn = picture.svg(record(nodes=60, open_claims=("link-canary",)))
    assert len(drawn) < 100_000
    assert "3,539 links, not drawn" in drawn
    assert "alpha → bravo: inconclusive" in drawn


def test_links_are_shown_as_their_findings_say() -> None:
    assert set(picture.links(HOLDS).values()) == {picture.Shown.SEALED}
    assert set(picture.links(CLEAR).values()) == {picture.Shown.READABLE}
    assert picture.links(LEAKY)["alpha>bravo"] is picture.Shown.OPEN
    resumed = tuple(
        replace(f, status=Status.FAIL, evidence=(Evidence("frame 7", "PSK"),))
        if (f.claim, f.subject) == ("link-ephemeral", "bravo>alpha")
        else f
        for f in HOLDS.findings
    )
    shown = picture.links(replace(HOLDS, findings=resumed))
    assert shown["bravo>alpha"] is picture.Shown.WEAK
    assert shown["alpha>bravo"] is picture.Shown.SEALED


# the page


@EVERY
def test_the_page_shows_every_finding(run: Record) -> None:
    seen = " ".join(Page(page.html(run)).text.split())
    for finding in run.findings:
        assert finding.looked_at in seen
        for piece in finding.evidence:
            assert piece.where in seen
            assert " ".join(printable(piece.what).split()) in seen
    for title, words in claims_page.NOT_CLAIMED:
        assert title in seen
        assert words in seen


@EVERY
def test_the_page_loads_and_runs_nothing(run: Record) -> None:
    seen = Page(page.html(run))
    assert not {tag for tag, _ in seen.tags} & {"script", "link", "img", "iframe", "object", "a"}
    for _, attributes in seen.tags:
        assert not attributes.keys() & {"src", "href", "onclick", "onload"}


def test_the_page_escapes_what_an_evil_mail_says() -> None:
    source = page.html(LEAKY)
    assert "<script" not in source
    for char in "\x00\x1b\u202e":
        assert char not in source
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;\\r\\n" in source


def test_much_evidence_is_counted_not_shown() -> None:
    pieces = tuple(Evidence(f"frame {n}", f"piece {n}.") for n in range(500))
    first = replace(HOLDS.findings[0], status=Status.FAIL, evidence=pieces)
    source = page.html(replace(HOLDS, findings=(first, *HOLDS.findings[1:])))
    assert f"piece {page.EVIDENCE_SHOWN - 1}." in source
    assert f"piece {page.EVIDENCE_SHOWN}." not in source
    assert f"and {500 - page.EVIDENCE_SHOWN} more, in verdict.json" in source


# for programs


@EVERY
def test_junit_has_a_case_a_finding(run: Record) -> None:
    root = ET.fromstring(junit.xml(run))
    cases = list(root.iter("testcase"))
    assert [(c.get("classname"), c.get("name")) for c in cases] == [
        (f.claim, f.subject) for f in run.findings
    ]
    tags = {Status.FAIL: "failure", Status.INCONCLUSIVE: "error", Status.NOT_APPLICABLE: "skipped"}
    for case, finding in zip(cases, run.findings, strict=True):
        assert [child.tag for child in case] == [
            tags[s] for s in [finding.status] if s is not Status.PASS
        ]
    suite = root[0]
    assert int(suite.get("failures", "")) == len(root.findall(".//failure"))
    assert int(suite.get("errors", "")) == len(root.findall(".//error"))


def test_junit_carries_the_evidence() -> None:
    failure = ET.fromstring(junit.xml(LEAKY)).find(".//failure")
    assert failure is not None
    assert failure.get("type") == "volume"
    assert printable(NASTY) in (failure.text or "")
    assert "/var/lib/remailer/spool/seen.log:0" in (failure.text or "")


def test_what_does_not_apply_is_skipped_and_does_not_fail() -> None:
    findings = tuple(
        replace(f, status=Status.NOT_APPLICABLE) if f.claim == "durable" else f
        for f in HOLDS.findings
    )
    run = replace(HOLDS, findings=findings)
    assert run.status == 0
    assert len(ET.fromstring(junit.xml(run)).findall(".//skipped")) == 5 + 20 + 5
    assert "not applicable" in page.html(run)
    assert f"HOLDS: all {len(AT_TLS) - 1} claims hold" in printed(run, 100)


def test_files_are_written_whole_and_read_again(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    names = [path.name for path in files.write(LEAKY, out) + files.pictures(LEAKY, out)]
    assert sorted(names) == sorted(path.name for path in out.iterdir())
    assert files.read(out) == LEAKY
    assert json.loads((out / "verdict.json").read_text())["schema"] == 1


def test_files_that_are_not_there_or_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(TestbedError, match="run make verify first"):
        files.read(tmp_path)
    (tmp_path / "out").write_text("a file, not a folder")
    with pytest.raises(TestbedError, match="can't be written"):
        files.write(HOLDS, tmp_path / "out")
    with pytest.raises(TestbedError, match="can't be read"):
        files.read(tmp_path / "out")


# docs/claims.md


def test_the_claims_page_is_made_from_the_table() -> None:
    assert (DOCS / "claims.md").read_text() == claims_page.markdown(), (
        "run: python -m testbed.report.claims_page > docs/claims.md"
    )


# words


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 KB"),
        (999_949, "999.9 KB"),
        (999_950, "1.0 MB"),
        (1_000_000, "1.0 MB"),
    ],
)
def test_sizes_for_people(octets: int, words: str) -> None:
    assert text.size(octets) == words


def test_printable_leaves_no_control_character() -> None:
    shown = printable("".join(map(chr, range(0x110000))))
    assert all(char.isprintable() or char.isspace() for char in shown)
    assert not set(shown) & set("\r\n\t\x00\x1b\x7f\x85\u2028\u202e\ufeff\ud800")
    assert printable("café → ü") == "café → ü"
