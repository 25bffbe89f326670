"""Marks: made from a seed, found in every form, told apart."""

from __future__ import annotations

import base64
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.wire.canary import FIELDS, PREFIX_LENGTH, Canaries

CANARIES = Canaries.new(random.Random(1))
MARK = CANARIES.mark(17, "b")


def forms_of(data: bytes) -> set[str]:
    return {hit.form for hit in CANARIES.search(data)}


def test_seed_decides_the_prefix() -> None:
    assert Canaries.new(random.Random(1)) == CANARIES
    assert Canaries.new(random.Random(2)) != CANARIES
    assert len(CANARIES.prefix) == PREFIX_LENGTH
    assert CANARIES.prefix[0].isalpha()
    assert CANARIES.prefix.isalnum()


@pytest.mark.parametrize("field", FIELDS)
def test_a_raw_mark_tells_its_letter(field: str) -> None:
    mark = CANARIES.mark(42, field)
    (hit,) = CANARIES.search(b"x" * 100 + mark.encode() + b"y" * 100)
    assert (hit.offset, hit.form, hit.mark) == (100, "raw", mark)
    assert mark.encode() in hit.excerpt
    assert CANARIES.letter_of(mark) == 42


@pytest.mark.parametrize(
    ("form", "data"),
    [
        ("upper case", MARK.upper().encode()),
        ("hex", MARK.encode().hex().encode()),
        ("HEX", MARK.encode().hex().upper().encode()),
        ("UTF-16LE", MARK.encode("utf-16-le")),
        ("UTF-16BE", MARK.encode("utf-16-be")),
        ("URL", "".join(f"%{b:02x}" for b in MARK.encode()).encode()),
        ("URL upper", "".join(f"%{b:02X}" for b in MARK.encode()).encode()),
        ("reversed", MARK.encode()[::-1]),
    ],
)
def test_forms(form: str, data: bytes) -> None:
    assert form in forms_of(b"before " + data + b" after")


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_base64_at_any_place(before: bytes, after: bytes) -> None:
    assert any(
        form.startswith("base64")
        for form in forms_of(base64.b64encode(before + MARK.encode() + after))
    )


@given(st.binary(max_size=2000))
def test_nothing_is_found_where_nothing_is(data: bytes) -> None:
    assert not list(CANARIES.search(data))


def test_a_cut_mark_is_still_a_hit() -> None:
    (hit,) = CANARIES.search(CANARIES.prefix.encode() + b"zz")
    assert hit.mark == CANARIES.prefix
    assert CANARIES.letter_of(hit.mark) is None


@pytest.mark.parametrize(("letter", "field"), [(1, "x"), (-1, "b"), (10000, "b")])
def test_no_such_mark(letter: int, field: str) -> None:
    with pytest.raises(ValueError, match="no mark"):
        CANARIES.mark(letter, field)
