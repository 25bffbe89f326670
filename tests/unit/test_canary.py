"""Marks: made from a seed, found in every form, told apart."""

from __future__ import annotations

import base64
import codecs
import gzip
import random
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.wire import canary
from testbed.wire.canary import FIELDS, FORMS, PREFIX_LENGTH, Canaries

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
        ("mixed case", MARK.upper().encode()),
        ("mixed case", MARK.title().encode()),
        ("hex", MARK.encode().hex().encode()),
        ("hex", MARK.encode().hex().upper().encode()),
        ("colon hex", MARK.encode().hex(":").encode()),
        ("colon hex", MARK.encode().hex(":").upper().encode()),
        ("UTF-16LE", MARK.encode("utf-16-le")),
        ("UTF-16BE", MARK.encode("utf-16-be")),
        ("URL", "".join(f"%{b:02x}" for b in MARK.encode()).encode()),
        ("URL", "".join(f"%{b:02X}" for b in MARK.encode()).encode()),
        ("quoted-printable", "".join(f"={b:02X}" for b in MARK.encode()).encode()),
        ("reversed", MARK.encode()[::-1]),
        ("rot13", codecs.encode(MARK, "rot13").encode()),
        ("raw in zlib", zlib.compress(b"From: " + MARK.encode())),
        ("raw in zlib", zlib.compress(b"From: " + MARK.encode(), 9)[:-4]),
        ("raw in gzip", gzip.compress(b"x" * 100_000 + MARK.encode())),
        ("hex in gzip", gzip.compress(MARK.encode().hex().encode())),
    ],
)
def test_forms(form: str, data: bytes) -> None:
    assert form in forms_of(b"before " + data + b" after")


@pytest.mark.parametrize(
    ("form", "encode"),
    [("base64", base64.b64encode), ("base32", base64.b32encode), ("base85", base64.b85encode)],
)
@given(before=st.binary(max_size=50), after=st.binary(max_size=50))
def test_groups_at_any_place(
    form: str, encode: Callable[[bytes], bytes], before: bytes, after: bytes
) -> None:
    found = forms_of(encode(before + MARK.encode() + after))
    assert any(name.startswith(form) for name in found)


def test_every_form_has_a_name() -> None:
    assert {f.partition("+")[0] for f in CANARIES.forms()} | {"mixed case"} == set(FORMS)


@given(st.sampled_from([b"\x78\x9c", b"\x78\xda", b"\x1f\x8b\x08\x00"]), st.binary(max_size=500))
def test_garbage_behind_a_header_is_no_error(header: bytes, garbage: bytes) -> None:
    assert not list(CANARIES.search(header + garbage))


def test_a_broken_stream_shows_what_came_before() -> None:
    text = MARK.encode() + random.Random(1).randbytes(200_000)
    packed = zlib.compress(text)
    assert "raw in zlib" in forms_of(packed[:100_000] + b"\xff" * 1000)


def test_a_bomb_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary, "MOST_OF_ONE", 1000)
    packed = zlib.compress(b"x" * 2000 + MARK.encode())
    assert not list(CANARIES.search(packed))
    monkeypatch.setattr(canary, "MOST_OF_ONE", 10_000)
    (hit,) = CANARIES.search(b"ab" + packed)
    assert (hit.offset, hit.form, hit.mark) == (2, "raw in zlib", MARK)


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
