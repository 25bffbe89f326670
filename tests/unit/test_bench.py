"""The bench: what its ratios are, and that every view of them says the same."""

from __future__ import annotations

import io
import json
import xml.etree.ElementTree as ElementTree
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from remailer.link.geometry import DATA
from testbed.bench import cost, paced
from testbed.bench.compare import Aim, Comparison
from testbed.bench.cost import Cost
from testbed.bench.record import Bench, to_json
from testbed.report import bench_page, bench_plot, bench_terminal, files

RATES = st.floats(min_value=0.01, max_value=10_000)
PAIRS = st.lists(st.tuples(RATES, RATES), min_size=1, max_size=9)


def compare(
    *pairs: tuple[float, float], sense: Aim = Aim.AT_LEAST, aim: float | None = None
) -> Comparison:
    return Comparison("hop", "a over b", "a", "b", "mails/s", pairs, sense, aim)


def test_the_ratio_is_the_median_of_the_pairs_ratios_and_not_the_ratio_of_medians() -> None:
    drifting = compare((10, 5), (100, 50), (40, 40), (1, 2), (9, 3))
    assert drifting.ratios == (2, 2, 1, 0.5, 3)
    assert drifting.ratio == 2
    assert drifting.interval == (0.5, 3)
    assert drifting.medians() == (10, 5)


@given(PAIRS)
def test_the_ratio_lies_in_its_interval(pairs: list[tuple[float, float]]) -> None:
    one = compare(*pairs)
    low, high = one.interval
    assert low <= one.ratio <= high


@pytest.mark.parametrize(("pairs", "coverage"), [(1, 0), (2, 0.5), (5, 0.9375)])
def test_how_sure_the_interval_is_follows_from_the_number_of_pairs(
    pairs: int, coverage: float
) -> None:
    assert compare(*[(1, 1)] * pairs).coverage == coverage


def test_an_aim_is_reached_from_its_own_side() -> None:
    assert compare((3, 1), aim=3).reached is True
    assert compare((2.9, 1), aim=3).reached is False
    assert compare((1.5, 1), sense=Aim.AT_MOST, aim=1.5).reached is True
    assert compare((1.6, 1), sense=Aim.AT_MOST, aim=1.5).reached is False
    assert compare((1, 1)).reached is None


@pytest.mark.parametrize("pairs", [(), ((0.0, 1.0),), ((1.0, 0.0),), ((1.0, -1.0),)])
def test_what_has_no_ratio_is_no_comparison(pairs: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(ValueError, match="positive"):
        compare(*pairs)


def look(
    loop: float, spool: float, pipe: float, workers: float, replaced: float
) -> dict[str, object]:
    threads = {"7": spool, "9": pipe}
    return {"loop": loop, "threads": threads, "workers": workers, "replaced": replaced}


def test_the_loops_time_is_split_by_what_cover_traffic_takes() -> None:
    before = look(1.0, 1.0, 0.0, 1.0, 0.0)
    between = look(1.5, 1.2, 0.1, 1.4, 0.0)
    after = look(2.3, 1.6, 0.2, 0.2, 2.2) | {"threads": {"7": 1.6, "9": 0.2, "11": 0.1}}
    found = cost.split(before, between, after, mails=1000)
    assert found.parts == pytest.approx({"in": 0.5, "peel": 1.2, "spool": 0.4, "out": 0.3})
    assert found.total == pytest.approx(2.4)


def test_goodput_is_measured_from_arrival_to_arrival_of_as_many_mails_as_are_under_way() -> None:
    ends = [9.0, 9.5, 9.9, 10.0, 11.0, 12.0, 13.0, 14.0, 14.1, 14.2, 14.3, 22.0]
    found = paced.goodput([(DATA * 9, 0.0, at) for at in ends], cells=10)
    assert found.pairs == ((DATA * 9, DATA * 10), (DATA * 4.5, DATA * 10))
    assert found.ratio == pytest.approx(0.675)


def test_latency_is_told_in_ticks_a_link() -> None:
    rides = [[(1, 5.0, 5.0 + ticks / 10) for ticks in (6, 9, 12)]] * 2
    middle, late = paced.latency(rides, cells=10)
    assert (middle.id, late.id) == ("latency_p50", "latency_p95")
    assert middle.ratios == pytest.approx((3, 3))
    assert late.ratio == pytest.approx(11.7 / 3)
    assert middle.reached
    assert middle.pairs[0][1] == paced.LINKS


@pytest.fixture
def bench() -> Bench:
    comparisons = (
        compare((30, 10), (40, 10), aim=3),
        Comparison("up", "<b>", "web", "idle", "s", ((9, 3),), Aim.AT_MOST, 1.5),
    )
    parts = Cost({"in": 0.5, "peel": 1.0, "spool": 0.25, "out": 0.25}, 400)
    machine, versions = {"cores": "2"}, {"unlogged": "0.1.0"}
    now = datetime(2026, 11, 25, tzinfo=UTC)
    return Bench(now, 60.0, 7, comparisons, parts, machine, versions)


def test_the_file_has_each_ratio_with_what_it_was_made_of(bench: Bench) -> None:
    read = json.loads(to_json(bench))
    assert read["schema"] == 1
    assert read["seed"] == 7
    hop = read["comparisons"]["hop"]
    assert hop["ratio"] == 3.5
    assert (hop["lowest"], hop["highest"], hop["n"]) == (3, 4, 2)
    assert hop["pairs"] == [[30, 10], [40, 10]]
    assert (hop["aim"], hop["reached"], hop["unit"]) == (">= 3", True, "mails/s")
    assert read["comparisons"]["up"]["reached"] is False
    parts = read["processor_time"]["parts"]
    assert parts["peel"] == {"ratio": 0.5, "ms": 1.0}
    assert sum(part["ratio"] for part in parts.values()) == 1


def test_the_page_has_every_row_and_loads_nothing(bench: Bench) -> None:
    page = bench_page.html(bench)
    assert 'id="hop"' in page
    assert "1 of the aims" in page
    assert "&lt;b&gt;" in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")


def test_the_drawings_are_whole_and_show_ratio_and_aim(bench: Bench) -> None:
    for drawing in (
        bench_plot.ratios(bench.comparisons),
        bench_plot.cost(bench.cost or Cost({}, 1)),
    ):
        ElementTree.fromstring(drawing)
    drawing = bench_plot.ratios(bench.comparisons)
    assert drawing.count('class="b-aim"') == 2
    assert "hop: 3.50, 3.00 to 4.00; aim ≥ 3" in drawing


@given(PAIRS)
def test_any_ratios_can_be_drawn(pairs: list[tuple[float, float]]) -> None:
    ElementTree.fromstring(bench_plot.ratios((compare(*pairs),)))


def test_the_terminal_shows_it_in_eighty_columns(bench: Bench, tmp_path: Path) -> None:
    said = io.StringIO()
    bench_terminal.show(bench, tmp_path, Console(file=said, width=80))
    assert "✓ hop" in said.getvalue()
    assert "✗ up" in said.getvalue()
    assert "3.00 to 4.00" in said.getvalue()
    assert "peel 1.00" in said.getvalue()


def test_both_files_are_written(bench: Bench, tmp_path: Path) -> None:
    assert [path.name for path in files.write_bench(bench, tmp_path)] == [
        "bench.json",
        "bench.html",
    ]
