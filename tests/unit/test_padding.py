"""remailer.client.padding: sizes depend on class and number of hops, on nothing else."""

from __future__ import annotations

import random
from functools import cache

import pysequoia
import pytest
from remailers import NAMES, NOW, carry, directory, key, peer

from remailer import openpgp, peel
from remailer.client import chain, padding
from remailer.directory import Directory
from remailer.errors import ChainError
from remailer.openpgp import Keyring

BOB = "bob@recipient.test"
SIZES = {
    1: (6720,),
    2: (10903, 6720),
    3: (16719, 10903, 6720),
}
"""Bytes at each hop of the smallest class: constants, which docs/messages.md gives, too."""


@cache
def odd_directory() -> Directory:
    """Remailers with keys of other kinds, and addresses of other lengths."""
    suite = pysequoia.CipherSuite
    kinds = {"f": suite.RSA3k, "g": suite.Cv25519, "h": suite.P521}
    made = []
    for (name, kind), labels in zip(kinds.items(), (1, 2, 3), strict=True):
        address = f"r@{'.'.join(['x' * 62] * labels)}.{name}.test"
        secret = pysequoia.Tsk.generate(user_id=f"{name} <{address}>", cipher_suite=kind)
        entry = peer(name, str(secret.extract_certificate()))
        made.append(entry.model_copy(update={"address": address}))
    return Directory(remailers=(*made, *directory().remailers))


@pytest.mark.parametrize("hops", SIZES)
def test_all_messages_of_a_class_have_the_same_sizes(hops: int) -> None:
    rng = random.Random(1)
    known = odd_directory()
    for _ in range(15):
        path = rng.sample([peer.name for peer in known.remailers], hops)
        text = rng.randbytes(rng.randrange(1600)).hex()
        lines = "\n".join(text[at : at + 70] for at in range(0, len(text), 70)).encode()
        to = [f"{'b' * rng.randrange(1, 60)}@recipient.test" for _ in range(rng.randrange(1, 4))]
        latent = rng.choice(["", "+0:30r"])
        made = chain.make(known, path, to, "s", lines, padded=True, latent=latent)
        assert made.layer == padding.SMALLEST
        assert made.sizes == SIZES[hops]


def test_a_key_of_rsa_4096_would_fit_too() -> None:
    layer = bytes(padding.HEAD)
    armour = openpgp.seal(layer, odd_directory().remailers[0].openpgp)
    larger = (4096 - 3072) // 8 * 11 // 8
    room = padding.message(len(layer)) - len(armour) - larger
    assert padding.block([chain.ENCRYPTED], room)


def test_each_hop_passes_on_what_was_foretold() -> None:
    made = chain.make(directory(), NAMES[:3], [BOB], "s", b"hi\n", padded=True)
    to, raw = made.recipient, made.mail("alice@sender.test", NOW, "id@sender.test")
    for name, size in zip(NAMES, made.sizes, strict=False):
        assert len(raw.partition(b"\r\n\r\n")[2]) == size
        keys = Keyring.load(key(name))
        (out,) = peel.peel(raw, keys, to, now=NOW, rng=random.Random(1))
        to, raw = out.recipient, out.mail
    assert (to, raw.partition(b"\r\n\r\n")[2]) == (BOB, b"hi\r\n")
    assert b"Padding" not in raw


@pytest.mark.parametrize("length", [0, 3900, 4096, 5000, 100_000, 700_000])
def test_what_arrives_is_what_was_written(length: int) -> None:
    text = b"x" * 72 + b"\r\n"
    body = text * (length // len(text)) + b"y" * (length % len(text)) + b"\r\n"
    made = chain.make(directory(), ["alpha", "bravo"], [BOB], "s", body, padded=True)
    assert made.layer.bit_count() == 1
    assert made.layer < 2 * len(body) or made.layer == padding.SMALLEST
    _, ((_, mail),) = carry(made)
    assert mail.partition(b"\r\n\r\n")[2] == body


@pytest.mark.parametrize("size", [*range(30, 240), 998, 4096])
def test_a_block_has_the_bytes_that_were_asked_for(size: int) -> None:
    made = padding.block(["Null:"], size)
    assert len(made) == size
    assert made.startswith(b"::\r\nNull:\r\nPadding: x")
    assert made.endswith(b"\r\n\r\n")
    assert max(map(len, made.split(b"\r\n"))) <= 62


def test_what_doesnt_fit_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert padding.block(["Null:"]) == b"::\r\nNull:\r\n\r\n"
    with pytest.raises(ChainError, match="send with --no-pad"):
        padding.block(["Null:"], 24)
    monkeypatch.setattr(openpgp, "seal", lambda _text, _key: b"x" * 9000)
    with pytest.raises(ChainError, match=r"^alpha: padding: "):
        chain.make(directory(), ["alpha"], [BOB], "", b"", padded=True)
