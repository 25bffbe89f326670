"""Marks: made from a seed, found in every form, told apart."""

from __future__ import annotations

import base64
import bz2
import codecs
import gzip
import lzma
import random
import subprocess
import sys
import zlib
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from testbed.wire import streams
from testbed.wire.canary import FIELDS, FORMS, PREFIX_LENGTH, Canaries

CANARIES = Canaries.new(random.Random(1))
MARK = CANARIES.mark(17, "b")


TEXT = b"From: alice\r\n" * 200 + MARK.encode() + b" and more, \xff\xfe, 1234567890\r\n" * 20


def deflated(data: bytes, window: int, level: int = 9) -> bytes:
    packer = zlib.compressobj(level, wbits=window)
    return packer.compress(data) + packer.flush()


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
        ("raw in gzip", gzip.compress(b"x" * 100_000 + MARK.encode(), mtime=0)),
        ("hex in gzip", gzip.compress(MARK.encode().hex().encode(), mtime=0)),
        ("raw in zlib", deflated(TEXT, 9)),
        ("raw in zstd", zstandard.compress(TEXT)),
        ("raw in zstd", zstandard.compress(TEXT + random.Random(3).randbytes(400_000))[:300_000]),
        ("raw in bzip2", bz2.compress(TEXT)),
        ("raw in xz", lzma.compress(TEXT)),
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


@given(before=st.binary(max_size=50), after=st.binary(max_size=50))
def test_deflate_with_the_fixed_tables_at_any_bit(before: bytes, after: bytes) -> None:
    packer = zlib.compressobj(9, wbits=-15, strategy=zlib.Z_FIXED)
    packed = packer.compress(before + MARK.encode() + after) + packer.flush()
    found = forms_of(b"\x01\x02\x03" + packed)
    # What does not get smaller by it is stored as it is.
    assert any(form.startswith(("deflate+", "raw")) for form in found)


@pytest.mark.parametrize(
    "before", [b"", b"a line\n", b"x" * 3000, b"x" * 9000 + b"\n", bytes(9000)]
)
def test_deflate_with_tables_of_its_own_where_streams_begin(before: bytes) -> None:
    packed = deflated(bytes(random.Random(2).choices(b"etaoin", k=9000)) + MARK.encode(), -15)
    assert packed[0] & 6 == 4  # such a block
    assert "raw in raw deflate" in forms_of(before + packed)


@given(before=st.binary(max_size=50), after=st.binary(max_size=50))
def test_base64url_is_base64_for_a_mark(before: bytes, after: bytes) -> None:
    found = forms_of(base64.urlsafe_b64encode(before + MARK.encode() + after))
    assert any(name.startswith("base64+") for name in found)


@pytest.mark.parametrize("pack", [bz2.compress, lzma.compress, zstandard.compress, gzip.compress])
@given(garbage=st.binary(max_size=300))
def test_a_stream_that_goes_wrong_is_no_error(
    pack: Callable[[bytes], bytes], garbage: bytes
) -> None:
    list(CANARIES.search(pack(b"x" * 1000)[:14] + garbage))


def test_a_search_without_zstandard_is_an_error() -> None:
    script = "import sys; sys.modules['zstandard'] = None; import testbed.wire.canary"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 1
    assert "zstandard" in done.stderr.splitlines()[-1]


def test_every_form_has_a_name() -> None:
    assert {f.partition("+")[0] for f in CANARIES.forms} | {"mixed case"} == set(FORMS)


@given(st.sampled_from([b"\x78\x9c", b"\x78\xda", b"\x1f\x8b\x08\x00"]), st.binary(max_size=500))
def test_garbage_behind_a_header_is_no_error(header: bytes, garbage: bytes) -> None:
    assert not list(CANARIES.search(header + garbage))


def test_a_broken_stream_shows_what_came_before() -> None:
    text = MARK.encode() + random.Random(1).randbytes(200_000)
    packed = zlib.compress(text)
    assert "raw in zlib" in forms_of(packed[:100_000] + b"\xff" * 1000)


def test_a_bomb_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MOST_OF_ONE", 1000)
    packed = zlib.compress(b"x" * 2000 + MARK.encode())
    assert "raw in zlib" not in forms_of(packed)
    monkeypatch.setattr(streams, "MOST_OF_ONE", 10_000)
    (hit,) = (hit for hit in CANARIES.search(b"ab" + packed) if hit.form == "raw in zlib")
    assert (hit.offset, hit.mark) == (2, MARK)


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
