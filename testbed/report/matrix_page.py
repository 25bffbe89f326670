"""The matrix as one HTML page that needs nothing but itself, like the verdict's (page.py)."""

from __future__ import annotations

from markupsafe import Markup

from testbed.attack.catalogue import ATTACKS
from testbed.attack.expected import Outcome
from testbed.attack.physical import ASKED
from testbed.attack.record import Matrix
from testbed.leaks.plant import described
from testbed.report import matrix_plot, matrix_words, template


def html(matrix: Matrix, report: str = "") -> str:
    """The whole page; `report` is the verdict's beside it that it links to, if there is one."""
    made = template.environment()
    made.filters |= {
        "number": matrix_words.number,
        "interval": matrix_words.interval,
        "p": matrix_words.p,
        "said": matrix_words.said,
        "described": described,
        "sign": lambda field: matrix_words.SIGN[field.outcome],
    }
    return made.get_template("matrix.html.j2").render(
        matrix=matrix,
        report=report,
        asked=ASKED,
        attacks=ATTACKS,
        heat=Markup(matrix_plot.heat(matrix)),
        content=_content(matrix),
        sets=_sets(matrix),
        drawn=_drawn(matrix),
        headline=matrix_words.headline(matrix),
        odd=list(matrix.of(Outcome.OTHERWISE, Outcome.INCONCLUSIVE)),
    )


def _content(matrix: Matrix) -> list[tuple[str, list[object]]]:
    """The 1993 table: forward mail and reply blocks, by link; without a pool, if there is such."""
    cases = [case for case in matrix.cases if not case.pooled] or list(matrix.cases)
    return [
        (case.stage, [matrix.fields[name, case.stage, case.pool] for name in matrix_words.CONTENT])
        for case in cases
    ]


def _sets(matrix: Matrix) -> list[object]:
    """The fields that know of an anonymity set."""
    return [field for field in matrix.fields.values() if field.score and field.score.sets]


def _drawn(matrix: Matrix) -> list[tuple[str, Markup]]:
    """What `time` and `combined` answer at one hop of each web."""
    found = []
    for case in matrix.cases:
        for name, own in case.paths.items():
            if own:
                words = f"{name}: {matrix.fields[name, case.stage, case.pool].place}"
                found.append((words, Markup(matrix_plot.paths(own, words))))
    return found
