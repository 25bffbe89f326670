"""The operator's file: what each line matches, and how one that is wrong is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from remailer.blocked import Blocked, load
from remailer.errors import SetupError


def made(tmp_path: Path, text: str) -> Blocked:
    (tmp_path / "blocked").write_text(text)
    return load(tmp_path / "blocked")


@pytest.mark.parametrize(
    ("pattern", "address", "matches"),
    [
        ("bob@example.org", "bob@example.org", True), ("bob@example.org", "BOB@Example.ORG", True),
        ("bob@example.org", "rob@example.org", False), ("b@x.org", "a@b@x.org", False),
        ("bob@example.org", "bob@a.example.org", False), ("example.org", "any@example.org", True),
        ("example.org", "any@a.b.example.org", True), ("example.org", "any@notexample.org", False),
        ("example.org", "any@example.org.test", False), ("test", "x@y.test", True),
        ("EXAMPLE.org", "any@example.org", True), ("example.org", "<>", False), ("a.b", "", False),
    ],
)  # fmt: skip
def test_patterns(tmp_path: Path, pattern: str, address: str, matches: bool) -> None:
    blocked = made(tmp_path, f"# asked for\n\nto: {pattern}\n  From:{pattern.upper()}  \n")
    assert blocked.destination(address) == blocked.source(address) == matches
    assert not made(tmp_path, f"to: {pattern}").source(address)
    assert not made(tmp_path, f"from: {pattern}").destination(address)


@pytest.mark.parametrize(
    "line", ["example.org", "to example.org", "to:", "cc: a@b.test", "to: a b.test", "to: /x/",
             "to: a@b@c.test", "to: *.test", "to: @example.org", "from: .test", "to: a..b"]
)  # fmt: skip
def test_a_line_that_is_wrong_is_told_with_its_number(tmp_path: Path, line: str) -> None:
    with pytest.raises(SetupError, match=r"blocked: line 3: write to: or from:") as told:
        made(tmp_path, f"# first\nto: a@b.test\n{line}\n")
    assert "\n" not in str(told.value)


def test_a_file_that_can_not_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="No such file"):
        load(tmp_path / "none")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\0")
    with pytest.raises(SetupError, match="not a text file"):
        load(tmp_path / "binary")
