"""Puts the verdict's files where they belong, each whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from testbed.errors import TestbedError
from testbed.report import junit, page, picture, terminal
from testbed.report.record import Record, from_json, to_json

# What these stand on takes a second to import, which every command would take longer.
if TYPE_CHECKING:
    from testbed.attack.record import Matrix
    from testbed.bench.record import Bench
    from testbed.leaks.score import Score

VERDICT = "verdict.json"
BENCH = "bench.html"
MATRIX = "matrix.html"
REPORT = "report.html"
BESIDE = (BENCH, MATRIX)
"""Pages of other commands that the report links to, if they lie beside it."""
_RESULTS = (VERDICT, "junit.xml", REPORT, "web.pcapng", "strace-*.txt")


def write(record: Record, out: Path) -> tuple[Path, ...]:
    """Write verdict.json, junit.xml and report.html into a folder, which is made if need be."""
    return _put(
        out,
        {
            VERDICT: to_json(record),
            "junit.xml": junit.xml(record),
            REPORT: page.html(record, *(name if (out / name).exists() else "" for name in BESIDE)),
        },
    )


def write_bench(bench: Bench, out: Path) -> tuple[Path, ...]:
    """Write bench.json and bench.html into a folder, which is made if need be."""
    from testbed.bench.record import to_json
    from testbed.report import bench_page

    return _put(out, {"bench.json": to_json(bench), BENCH: bench_page.html(bench)})


def write_leaks(score: Score, out: Path) -> tuple[Path, ...]:
    """Write leaks.json into a folder, which is made if need be."""
    from testbed.leaks.score import to_json

    return _put(out, {"leaks.json": to_json(score)})


def write_matrix(matrix: Matrix, out: Path) -> tuple[Path, ...]:
    """Write matrix.json and matrix.html into a folder, which is made if need be."""
    from testbed.attack.record import to_json
    from testbed.report import matrix_page

    report = REPORT if (out / REPORT).exists() else ""
    made = matrix_page.html(matrix, report)
    return _put(out, {"matrix.json": to_json(matrix), MATRIX: made})


def keep_matrix(matrix: Matrix, results: Path, name: str) -> tuple[Path, ...]:
    """Keep the results of a full run under a name with its seed, with its commit and machine."""
    from testbed.attack.record import to_json

    return _put(results, {f"{name}.json": to_json(matrix)})


def clear(out: Path) -> None:
    """Take away an earlier run's results, and make the folder if need be."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for pattern in _RESULTS:
            for path in out.glob(pattern):
                path.unlink()
    except OSError as error:
        raise TestbedError(
            f"{out}: {error.strerror}: give a folder that is writable and has room"
        ) from None


def pictures(record: Record, docs: Path) -> tuple[Path, ...]:
    """Write what the README shows: verdict.svg (the terminal) and web.svg (the drawing)."""
    return _put(docs, {"verdict.svg": terminal.svg(record), "web.svg": picture.svg(record)})


def read(out: Path) -> Record:
    """The record of the last run. Raises TestbedError when there is none, or it can't be read."""
    path = out / VERDICT
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise TestbedError(f"{path} is not there: run make verify first") from None
    except (OSError, UnicodeDecodeError) as error:
        raise TestbedError(f"{path} can't be read: {error}; run make verify again") from None
    return from_json(text)


def _put(folder: Path, files: dict[str, str]) -> tuple[Path, ...]:
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            path = folder / name
            part = folder / f".{name}.part"
            part.write_text(content, encoding="utf-8")
            part.replace(path)
            written.append(path)
    except OSError as error:
        raise TestbedError(
            f"the results can't be written: {error}; give a folder that is writable and has room"
        ) from None
    return tuple(written)
