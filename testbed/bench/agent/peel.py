"""Layers a second: the worker's own peel against gpg as a subprocess, in turn, in one process.

    python3 -m testbed.bench.agent.peel PAIRS LAYERS SEED

Prints one line of JSON: for each kind of key and maker the pairs of rates. What gpg 2 can't open,
messages that our client makes for a remailer's own key, it is given in its own making.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from remailer import openpgp
from remailer.openpgp import Keyring
from remailer.peel import peel
from testbed.bench.agent import letters
from testbed.bench.agent.sink import MARK

ME = "remailer@alpha.remailer.test"
_GPG = ("gpg", "--batch", "--quiet", "--no-options", "--trust-model", "always")
KEYS = {
    "curve25519": ("ed25519", "cv25519"),
    "rsa3072": ("rsa3072", "rsa3072"),
}


def gpg(*arguments: str, given: bytes = b"") -> bytes:
    """Run gpg; what it said, or CalledProcessError."""
    return subprocess.run([*_GPG, *arguments], input=given, capture_output=True, check=True).stdout


def made_by_gpg(algorithm: str) -> bytes:
    """A new key of gpg's, in gpg's keyring too; the secret key, armoured."""
    sign, encrypt = KEYS[algorithm]
    user = f"{algorithm} <{ME}>"
    gpg("--passphrase", "", "--quick-generate-key", user, sign, "sign", "never")
    listed = gpg("--with-colons", "--list-keys", user).decode().splitlines()
    fingerprint = next(line.split(":")[9] for line in listed if line.startswith("fpr"))
    gpg("--passphrase", "", "--quick-add-key", fingerprint, encrypt, "encr", "never")
    return gpg("--armor", "--export-secret-keys", fingerprint)


def by_client(certificate: str, rng: random.Random) -> bytes:
    """A layer that `remailer send` makes."""
    text = letters.inner(b"Anon-To: " + letters.NEXT, rng).replace(b"\n", b"\r\n")
    return b"::\r\nEncrypted: PGP\r\n\r\n" + openpgp.seal(text, certificate)


def by_gpg(certificate: str, rng: random.Random) -> bytes:
    """A layer that gpg makes."""
    with tempfile.NamedTemporaryFile(suffix=".asc") as file:
        Path(file.name).write_text(certificate)
        return letters.seal(file.name, letters.inner(b"Anon-To: " + letters.NEXT, rng))


def rate(layer: Callable[[], object], count: int) -> float:
    """How often a second it can be done."""
    began = time.perf_counter()
    for _ in range(count):
        layer()
    return count / (time.perf_counter() - began)


def compare(
    secret: bytes, ours: bytes, theirs: bytes, pairs: int, layers: int
) -> list[list[float]]:
    """Pairs of rates; ours opens the one body, gpg the other."""
    keyring = Keyring.load(secret)
    mail = b"From: a@b.test\r\nTo: " + ME.encode() + b"\r\n\r\n" + ours
    now, rng = datetime.now(UTC), random.Random(1)

    def our_peel() -> None:
        (made,) = peel(mail, keyring, ME, now=now, rng=rng)
        assert MARK in made.mail

    def their_peel() -> None:
        assert MARK in gpg("--decrypt", given=theirs)

    our_peel()
    their_peel()
    return [[rate(our_peel, layers), rate(their_peel, max(1, layers // 4))] for _ in range(pairs)]


@contextmanager
def keyring() -> Iterator[None]:
    """An empty one of gpg's: with several keys it would try each for a message to nobody named."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["GNUPGHOME"] = home
        yield
        subprocess.run(["gpgconf", "--kill", "all"], check=False)


def main(pairs: int, layers: int, seed: int) -> None:
    """Measure every kind."""
    found, rng = {}, random.Random(seed)
    for algorithm in KEYS:
        with keyring():
            secret = made_by_gpg(algorithm)
            certificate = openpgp.certificate(secret)
            for maker, make in (("gpg", by_gpg), ("client", by_client)):
                body = make(certificate, rng)
                found[f"{algorithm}_{maker}"] = compare(secret, body, body, pairs, layers)
    with keyring():
        own = openpgp.generate(f"own <{ME}>")
        gpg("--import", given=own)
        certificate = openpgp.certificate(own)
        bodies = by_client(certificate, rng), by_gpg(certificate, rng)
        found["own_client"] = compare(own, *bodies, pairs, layers)
    print(json.dumps(found))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
