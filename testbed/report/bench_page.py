"""The bench as one HTML page that needs nothing but itself, like the verdict's (page.py)."""

from __future__ import annotations

from markupsafe import Markup

from testbed.bench.cost import METHOD
from testbed.bench.record import Bench
from testbed.report import bench_plot, bench_words, template


def html(bench: Bench) -> str:
    """The whole page."""
    made = template.environment()
    made.filters |= {
        "number": bench_words.number,
        "aim": bench_words.aim,
        "interval": bench_words.interval,
        "sign": bench_words.sign,
    }
    return made.get_template("bench.html.j2").render(
        bench=bench,
        ratios=Markup(bench_plot.ratios(bench.comparisons)),
        cost=Markup(bench_plot.cost(bench.cost)) if bench.cost else "",
        method=METHOD,
    )
