"""Digests of what mails carry: found in every coding, with the node's name, and only those."""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.wire.canary import Canaries, search
from testbed.wire.digests import ALGORITHMS, SEPARATORS, WORD, Digests

CANARIES = Canaries.new(random.Random(1))
MARK = CANARIES.mark(17, "s")
ADDRESS = f"alice+{MARK}@sender.test"
NAMES = ("alpha", "alpha.remailer.test")
DIGESTS = Digests.of([MARK, ADDRESS, f"<{MARK}@sender.test>"], NAMES)


def sha(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def found(data: bytes) -> list[tuple[str, str]]:
    return [(hit.form, hit.mark) for hit in DIGESTS.search(data)]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_common_hash(algorithm: str) -> None:
    digest = hashlib.new(algorithm, ADDRESS.encode()).digest()
    assert found(b"seen: " + digest + b" today") == [(f"{algorithm}, raw", ADDRESS)]


@pytest.mark.parametrize(
    ("coding", "encode"),
    [
        ("raw", bytes),
        ("hex", lambda digest: digest.hex().encode()),
        ("hex", lambda digest: digest.hex().upper().encode()),
        ("hex", lambda digest: digest.hex()[: 2 * WORD].encode()),
        ("base64", base64.b64encode),
        ("base64", base64.urlsafe_b64encode),
        ("base32", lambda digest: base64.b32encode(digest).lower()),
    ],
)
@pytest.mark.parametrize("algorithm", ["md5", "sha256", "sha512"])
@pytest.mark.parametrize("before", [b"", b"from=", b"\x00\x01\x02", b"a1 ", b"alpha-"])
def test_every_coding_behind_anything(
    coding: str, encode: Callable[[bytes], bytes], algorithm: str, before: bytes
) -> None:
    digest = encode(hashlib.new(algorithm, MARK.encode()).digest())
    if before == b"alpha-" and (coding == "base32" or len(digest) > 80):
        before = b"alpha:"  # a long run, or one of base32, is decoded from its first digit on
    (hit,) = DIGESTS.search(before + digest + b"\n")
    assert (hit.form, hit.mark) == (f"{algorithm}, {coding}", MARK)
    assert hit.offset == len(before)
    assert hit.excerpt.startswith(before + digest[: 2 * WORD])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("separator", SEPARATORS)
def test_with_the_nodes_name(name: str, separator: str) -> None:
    for text in (f"{name}{separator}{ADDRESS}", f"{ADDRESS}{separator}{name}"):
        assert found(sha(text)) == [(f"sha256 with {name}, raw", ADDRESS)]
    keyed = hmac.digest(name.encode(), ADDRESS.encode(), "sha1")
    assert found(keyed) == [(f"HMAC-sha1 under {name}, raw", ADDRESS)]


def test_as_a_shell_would_hash_it() -> None:
    assert found(sha(f"{ADDRESS}\n")) == [("sha256 with a line end, raw", ADDRESS)]


def test_not_with_another_nodes_name_and_not_of_another_mail() -> None:
    assert not found(sha(f"bravo:{ADDRESS}"))
    assert not found(sha(ADDRESS + "x"))


def test_many_in_one_text_and_where_they_stand() -> None:
    digest = sha(MARK).hex().encode()
    data = b"x" * 1000 + b" " + digest + b" " + digest.upper() + b"!" + sha(MARK)
    assert sorted(hit.offset for hit in DIGESTS.search(data)) == [1001, 1066, 1131]


def test_in_a_compressed_stream_beside_marks() -> None:
    packed = gzip.compress(f"{MARK} {sha(ADDRESS).hex()}\n".encode())
    hits = {(hit.form, hit.mark) for hit in search(b"ab" + packed, CANARIES, DIGESTS)}
    assert hits >= {("raw in gzip", MARK), ("sha256, hex in gzip", ADDRESS)}


@given(st.binary(max_size=2000))
def test_nothing_is_found_where_nothing_is(data: bytes) -> None:
    assert not found(data)


@given(st.text("0123456789abcdefABCDEF+/_-= \n", max_size=500))
def test_digits_that_say_nothing_are_no_error(text: str) -> None:
    assert not found(text.encode())
