"""remailer.openpgp: what gpg makes opens here, and the other way round; all else is Dropped."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pysequoia
import pytest
from pysequoia import packet
from remailers import NOW, address, directory, key

from remailer import openpgp
from remailer.errors import ChainError, Dropped, SetupError
from remailer.openpgp import MAX_KEYS, Keyring, _without_recipients
from remailer.peel import peel

TEXT = b"lines\r\nof text\r\n" * 400
needs_gpg = pytest.mark.skipif(shutil.which("gpg") is None, reason="gpg isn't installed")


class Gpg:
    """gpg with a home directory of its own."""

    def __init__(self, home: Path) -> None:
        home.mkdir(mode=0o700)
        self.home = str(home)

    def __call__(self, *args: str, given: bytes = b"") -> bytes:
        command = ["gpg", "--homedir", self.home, "--batch", "--quiet", "--yes", *args]
        return subprocess.run(command, input=given, capture_output=True, check=True).stdout

    def new_key(self, user: str, signing: str, encryption: str) -> None:
        self("--passphrase", "", "--quick-gen-key", user, signing, "cert")
        listed = self("--with-colons", "--list-keys", user).decode()
        fingerprint = next(x.split(":")[9] for x in listed.splitlines() if x.startswith("fpr"))
        self("--passphrase", "", "--quick-add-key", fingerprint, encryption, "encr")


@pytest.fixture(scope="module")
def gpg(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gpg]:
    gpg = Gpg(tmp_path_factory.mktemp("gpg") / "home")
    gpg("--import", given=openpgp.certificate(key("alpha")).encode())
    gpg.new_key("rsa <rsa@x.test>", "rsa3072", "rsa3072")
    gpg.new_key("curve <curve@x.test>", "ed25519", "cv25519")
    yield gpg
    subprocess.run(["gpgconf", "--homedir", gpg.home, "--kill", "all"], check=False)


def encrypted(gpg: Gpg, user: str, *options: str, text: bytes = TEXT) -> bytes:
    return gpg("--armor", "--encrypt", "--trust-model", "always", *options, "-r", user, given=text)


@needs_gpg
@pytest.mark.parametrize(
    "options",
    [(), ("--throw-keyids", "--no-emit-version"), ("-z", "0"), ("--comment", "c", "--emit-version"),
     ("--textmode",), ("--compress-algo", "zlib")],
    ids=" ".join,
)  # fmt: skip
def test_gpgs_message_to_a_node_opens(gpg: Gpg, options: tuple[str, ...]) -> None:
    made = encrypted(gpg, address("alpha"), *options)
    assert Keyring.load(key("alpha")).decrypt(made).text == TEXT


@needs_gpg
@pytest.mark.parametrize("user", ["rsa@x.test", "curve@x.test"])
@pytest.mark.parametrize("options", [(), ("--throw-keyids",)], ids=" ".join)
def test_a_key_of_gpgs_works_as_a_nodes(gpg: Gpg, user: str, options: tuple[str, ...]) -> None:
    secret = gpg("--armor", "--export-secret-keys", user)
    public = gpg("--armor", "--export", user).decode()
    openpgp.check(public)
    assert Keyring.load(secret).decrypt(encrypted(gpg, user, *options)).text == TEXT
    ours = openpgp.seal(TEXT, public)
    assert Keyring.load(secret).decrypt(ours).text == TEXT
    assert gpg("--decrypt", given=ours) == TEXT
    assert b"keyid 0000000000000000" in gpg("--list-packets", given=ours)


@needs_gpg
def test_a_chain_by_gpg_is_peeled(gpg: Gpg) -> None:
    inner = encrypted(gpg, address("alpha"), text=b"::\nAnon-To: bob@recipient.test\n\nhello\n")
    outer = encrypted(gpg, address("alpha"), text=b"::\nEncrypted: PGP\n\n" + inner)
    raw = b"To: remailer\n\n::\nEncrypted: PGP\n\n" + outer + b"tail\n"
    (out,) = peel(raw, Keyring.load(key("alpha")), address("alpha"), now=NOW, rng=random.Random(1))
    assert out.mail.endswith(b"\r\n\r\nhello\r\ntail\r\n")


@needs_gpg
def test_other_messages_of_gpgs_are_dropped(gpg: Gpg) -> None:
    by_passphrase = ("--pinentry-mode", "loopback", "--passphrase", "p", "--s2k-mode", "1")
    symmetric = gpg(*by_passphrase, "--armor", "--symmetric", given=TEXT)
    # pysequoia is built without bzip2; gpg uses it only for keys that ask for it, ours don't.
    bzip2 = encrypted(gpg, address("alpha"), "--compress-algo", "bzip2")
    for refused in (symmetric, bzip2, gpg("--armor", "--store", given=TEXT)):
        with pytest.raises(Dropped):
            Keyring.load(key("alpha")).decrypt(refused)


@pytest.mark.parametrize("text", [b"", b"a", TEXT, bytes(range(256))])
def test_sealed_for_a_node_opens_there_only(text: bytes) -> None:
    sealed = openpgp.seal(text, directory().remailers[0].openpgp)
    assert Keyring.load(key("alpha")).decrypt(sealed).text == text
    with pytest.raises(Dropped):
        Keyring.load(key("bravo")).decrypt(sealed)


def test_a_sealed_message_tells_nothing_of_its_recipient() -> None:
    sealed = openpgp.seal(TEXT, directory().remailers[0].openpgp)
    assert sealed.startswith(b"-----BEGIN PGP MESSAGE-----\r\n\r\n")
    assert sealed.endswith(b"\r\n-----END PGP MESSAGE-----\r\n")
    assert max(map(len, sealed.split(b"\r\n"))) <= 76
    session, data = packet.PacketPile.from_bytes(sealed)
    assert (session.tag, data.tag) == (packet.Tag.PKESK, packet.Tag.SEIP)
    assert session.body[:2] == b"\6\0"


def test_altered_and_cut_messages_are_dropped() -> None:
    sealed = openpgp.seal(TEXT, directory().remailers[0].openpgp)
    keyring = Keyring.load(key("alpha"))
    rng = random.Random(1)
    for _ in range(40):
        broken = bytearray(sealed)
        at = rng.randrange(40, len(sealed) - 40)
        broken[at] = ord("B") if broken[at] == ord("A") else ord("A")
        for refused in (bytes(broken), sealed[:at], sealed[at:]):
            with pytest.raises(Dropped):
                keyring.decrypt(refused)


def test_packets_beside_the_encrypted_ones_are_dropped_or_count_for_nothing() -> None:
    """No error but Dropped, no further tries with the key, and no other digest."""
    certificate = pysequoia.Cert.from_bytes(directory().remailers[0].openpgp.encode())
    whole = _without_recipients(pysequoia.encrypt(TEXT, [certificate], armor=False))
    session, data = (bytes(one) for one in packet.PacketPile.from_bytes(whole))
    other = openpgp.seal(b"", directory().remailers[1].openpgp)
    wrong = bytes(next(iter(packet.PacketPile.from_bytes(other))))
    marker, private = b"\xca\x03PGP", b"\xfc\x03abc"
    keyring = Keyring.load(key("alpha"))
    opened = keyring.decrypt(whole)
    assert opened.text == TEXT
    most = wrong * (MAX_KEYS - 1)
    for same in (marker + whole, session + marker + data, whole + marker, most + whole):
        assert keyring.decrypt(same) == opened
    for refused in (whole + private, session + private + data, whole + data, wrong + most + whole):
        with pytest.raises(Dropped):
            keyring.decrypt(refused)


def test_keys_that_cant_be_used_are_one_line() -> None:
    expired = pysequoia.Tsk.generate(user_id="x", validity_seconds=1)
    soon = str(expired.extract_certificate())
    for bad in ("", "no key", key("alpha").decode()[:200], soon[: len(soon) // 2]):
        with pytest.raises(SetupError) as error:
            openpgp.check(bad)
        assert "\n" not in str(error.value)
        with pytest.raises(ChainError):
            openpgp.seal(b"", bad)
        with pytest.raises(SetupError):
            Keyring.load(bad.encode())
    with pytest.raises(SetupError):
        Keyring.load(openpgp.certificate(key("alpha")).encode())
    openpgp.check(openpgp.certificate(key("alpha")))
