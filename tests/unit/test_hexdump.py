"""What is around a find, as people read it."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from testbed.hexdump import MOST_LINES, WIDTH, around, dump


def test_a_dump_shows_where_hex_and_text() -> None:
    assert dump(b"Subject: \xff a mark\r\n", 0x1F40) == (
        "00001f40  53 75 62 6a 65 63 74 3a  20 ff 20 61 20 6d 61 72  |Subject: . a mar|",
        "00001f50  6b 0d 0a                                          |k..|",
    )


def test_nothing_has_no_lines() -> None:
    assert dump(b"") == ()


@given(st.binary(max_size=300), st.integers(0, 1 << 31))
def test_a_dump_tells_the_first_bytes_and_no_more(data: bytes, start: int) -> None:
    lines = dump(data, start)
    assert len(lines) <= MOST_LINES
    shown = data[: WIDTH * MOST_LINES]
    assert b"".join(bytes.fromhex(line[10:58]) for line in lines) == shown
    assert [int(line[:8], 16) - start for line in lines] == list(range(0, len(shown), WIDTH))
    assert all(re.fullmatch(r"[ -~]+", line) for line in lines)


def test_around_a_place_stands_what_comes_before_it() -> None:
    data = b"x" * 100 + b"mark" + b"y" * 200
    lines = around(data, 100)
    assert lines[0].startswith(f"{100 - 2 * WIDTH:08x}")
    assert len(lines) == MOST_LINES
    assert "mark" in lines[2]
    assert around(b"mark", 0) == dump(b"mark")
